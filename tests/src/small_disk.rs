//! A disk that is easily full.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::server::{Server, Setup};

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output().with_context(|| program.to_owned())?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {arguments:?}: {complaint}");
    Ok(())
}

/// Without the watermarks that refuse new sandboxes and images long before the disk is full.
pub fn setup() -> Setup {
    let setup = Setup::default().set("native", "prepared_slots = 0");
    let setup = setup.set("native", "min_free_disk = \"1\"").set("native", "min_free_disk_percent = 0");
    setup.set("images", "min_free_disk = \"1\"").set("images", "min_free_disk_percent = 0")
}

/// A small file system where a server's state was, with the state on it.
pub struct SmallDisk {
    at: PathBuf,
    file: PathBuf,
}

impl SmallDisk {
    /// Room for the base image, a few sandboxes and little else.
    const BYTES: u64 = 640 << 20;

    /// Puts one under a running server.
    pub fn under(server: &Server) -> Result<Self> {
        server.stop()?;
        let at = server.state();
        let (file, aside) = (at.with_extension("disk"), at.with_extension("aside"));
        fs::File::create(&file)?.set_len(Self::BYTES)?;
        fs::rename(&at, &aside)?;
        fs::create_dir(&at)?;
        let text = |path: &Path| path.display().to_string();
        run("mkfs.ext4", &["-q", "-m", "0", &text(&file)])?;
        run("mount", &["-o", "loop", &text(&file), &text(&at)])?;
        let disk = Self { at, file };
        run("cp", &["-a", &format!("{}/.", text(&aside)), &text(&disk.at)])?;
        fs::remove_dir_all(aside)?;
        server.restart()?;
        Ok(disk)
    }

    /// Takes all the room there is; what takes it can be made smaller.
    pub fn fill(&self) -> Result<PathBuf> {
        let ballast = self.at.join("ballast");
        // What is promised to files while they are written is more than they take in the end: once more, in small steps.
        for size in ["bs=64k", "bs=4k", "bs=4k"] {
            let status = Command::new("dd")
                .args([
                    "if=/dev/zero",
                    size,
                    "oflag=append",
                    "conv=notrunc",
                    &format!("of={}", ballast.display()),
                ])
                .stderr(std::process::Stdio::null())
                .status()?;
            ensure!(!status.success(), "the disk is never full");
            run("sync", &["--file-system", &ballast.display().to_string()])?;
        }
        Ok(ballast)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The server above it is asked to clean up afterwards, and does so through what it has open.
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
        let _ = fs::remove_file(&self.file);
    }
}
