//! The archive that a machine is set up from.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::images::archive::plain_tar;
use crate::{dist, paths, shell};

/// From the repository, to the archive.
const FILES: &[(&str, &str)] = &[
    ("CHANGELOG.md", "CHANGELOG.md"),
    ("LICENSE", "LICENSE"),
    ("README.md", "README.md"),
    ("SECURITY.md", "SECURITY.md"),
    ("docs/operations.md", "docs/operations.md"),
    ("lifecycle-server/assets/config.toml", "etc/config.toml"),
    ("packaging/systemd/sandkeep.service", "systemd/sandkeep.service"),
];

/// The API documents.
const DOCUMENTS: &str = "specs/openapi";

/// The daemons; the server looks for execd beside itself.
const PROGRAMS: &[&str] = &[dist::SERVER, "execd", dist::SIDECAR, dist::TOOL];

/// Name of the archive without its ending, and of the directory in it.
pub(super) fn name() -> String {
    format!("sandkeep-{}-{}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH)
}

/// Writes `NAME.tar.gz` below `out`.
pub(super) fn write(out: &Path) -> Result<()> {
    let name = name();
    let work = paths::output("release-work");
    let stage = work.join(&name);
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    for program in PROGRAMS {
        install(&paths::dist().join(program), &stage.join("bin").join(program), 0o755)
            .with_context(|| format!("{program} is missing; `cargo xtask build` makes it"))?;
    }
    for (from, to) in FILES {
        install(&paths::root().join(from), &stage.join(to), 0o644)?;
    }
    for document in documents()? {
        let file = document.file_name().context("a document has a name")?;
        install(&document, &stage.join("openapi").join(file), 0o644)?;
    }

    let tar = work.join(format!("{name}.tar"));
    shell::run(plain_tar(&tar, &work).arg(&name))?;
    // No name and no time in the compressed file either.
    shell::run(Command::new("gzip").arg("--no-name").arg(&tar))?;
    let packed = format!("{name}.tar.gz");
    fs::rename(work.join(&packed), out.join(&packed))?;
    Ok(fs::remove_dir_all(&work)?)
}

fn documents() -> Result<Vec<PathBuf>> {
    let dir = paths::root().join(DOCUMENTS);
    let entries = fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))?;
    Ok(entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?)
}

/// Copies a file under a mode of its own: neither the umask nor the check-out decides.
pub(super) fn install(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let dir = to.parent().context("a path in the archive has a directory")?;
    fs::create_dir_all(dir)?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    for dir in to.ancestors().skip(1).take_while(|dir| dir.starts_with(paths::output(""))) {
        if dir != paths::output("") {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}
