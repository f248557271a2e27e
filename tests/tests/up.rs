//! A server on this machine from nothing but the installed programs, by `sb up`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Result, ensure};
use sandkeep_tests::{
    internet::Netns,
    leaks, paths,
    registry::{Layer, docker_archive, tar},
};
use serde_json::Value;

/// What a release brings.
const PROGRAMS: [&str; 4] = ["sb", "lifecycle-server", "execd", "egress-sidecar"];

const IMAGE: &str = "team/shell:1";

/// An image with nothing but a shell of this machine's and what waits for the end: it is imported in no time.
fn image() -> Result<Vec<u8>> {
    let programs = ["/bin/sh", "/usr/bin/tail"];
    let libraries = Command::new("ldd").args(programs).output()?;
    let libraries = String::from_utf8(libraries.stdout)?;
    let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':'));
    let files: BTreeSet<&Path> = libraries.chain(programs).map(Path::new).collect();
    let layer = tar(|builder| {
        for file in files {
            let name = if file.ends_with("tail") { Path::new("bin/tail") } else { file };
            builder.append_path_with_name(file, name.strip_prefix("/").unwrap_or(name))?;
        }
        // For anybody, whoever the image is for.
        builder.append_dir("srv", "/tmp")
    })?;
    docker_archive(IMAGE, &[Layer::gzip(&layer)?])
}

/// A machine with the programs installed and a home without anything. It has a network of its own, so that the usual
/// port and subnet are free.
struct Machine {
    dir: tempfile::TempDir,
    netns: Netns,
}

impl Machine {
    fn new() -> Result<Self> {
        paths::require_root()?;
        let machine = Self { dir: tempfile::tempdir()?, netns: Netns::new()? };
        let bin = machine.dir.path().join("bin");
        fs::create_dir(&bin)?;
        for program in PROGRAMS {
            fs::copy(paths::dist(program)?, bin.join(program))?;
        }
        Ok(machine)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.netns.command(self.dir.path().join("bin/sb"));
        command.args(arguments).env("HOME", self.dir.path()).stdin(Stdio::null());
        for variable in [
            "SANDKEEP_URL",
            "OPEN_SANDBOX_API_KEY",
            "SANDKEEP_CONTEXT",
            "SANDKEEP_CLI_CONFIG",
            "XDG_CONFIG_HOME",
        ] {
            command.env_remove(variable);
        }
        command
    }

    fn sb(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments).output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "sb {arguments:?}: {} {complaint}\n{}", output.status, self.log());
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What a run that must fail says.
    fn refused(&self, arguments: &[&str]) -> Result<String> {
        let Output { status, stdout, stderr } = self.command(arguments).output()?;
        ensure!(status.code() == Some(1), "sb {arguments:?}: {status} {}", String::from_utf8_lossy(&stdout));
        Ok(String::from_utf8(stderr)?)
    }

    fn up(&self, port: u16) -> PathBuf {
        self.dir.path().join(format!(".sandkeep/up-{port}"))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.up(8080).join("server.log")).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // After a failure too; what is gone already needs nothing.
        let ids = self.sb(&["ps", "--all", "-q"]).unwrap_or_default();
        for id in ids.split_whitespace() {
            let _ = self.sb(&["rm", id]);
        }
        let _ = self.sb(&["down"]);
        let _ = leaks::remove_cgroups_of_server_in(&self.netns);
    }
}

#[test]
fn a_server_comes_up_and_goes_down_and_its_sandboxes_stay() -> Result<()> {
    let machine = Machine::new()?;
    let said = machine.refused(&["doctor"])?;
    ensure!(said.contains("sb up"), "{said}");
    let said = machine.refused(&["ps"])?;
    ensure!(said.contains("hint: ") && said.contains("sb up"), "{said}");

    let archive = machine.dir.path().join("shell.tar");
    fs::write(&archive, image()?)?;
    let said = machine.sb(&["up", "--import", &archive.to_string_lossy()])?;
    ensure!(said.contains("a server answers at http://127.0.0.1:8080;"), "{said}");
    ensure!(said.contains(&format!("imported docker.io/{IMAGE}")), "{said}");
    let found: Value = serde_json::from_str(&machine.sb(&["doctor", "-o", "json"])?)?;
    let findings = found.as_array().into_iter().flatten();
    let names: Vec<_> =
        findings.filter(|one| one["ok"] == true).filter_map(|one| one["what"].as_str()).collect();
    ensure!(names.contains(&"server") && names.contains(&"key and images"), "{found}");
    ensure!(machine.sb(&["up"])?.contains("already"), "a second server was started");

    assert_eq!(machine.sb(&["run", IMAGE, "--", "sh", "-c", "echo $((6 * 7))"])?, "42\n");
    let id = machine.sb(&["create", IMAGE])?.trim().to_owned();
    machine.sb(&["exec", &id, "--", "sh", "-c", "echo kept >/srv/file"])?;
    ensure!(machine.sb(&["down"])?.contains("has ended"), "it goes on");
    ensure!(machine.sb(&["down"])?.contains("no server"), "it was ended twice");
    ensure!(machine.refused(&["ps"])?.contains("sb up"), "something answers still");

    machine.sb(&["up"])?;
    assert_eq!(machine.sb(&["exec", &id, "--", "sh", "-c", "read word </srv/file; echo $word"])?, "kept\n");
    machine.sb(&["rm", &id])?;
    assert_eq!(machine.sb(&["ps", "--all", "-q"])?, "");
    machine.sb(&["down"])?;

    // One that cannot start says why, at once.
    fs::create_dir_all(machine.up(8081))?;
    fs::write(machine.up(8081).join("config.toml"), "[server]\nprot = 8081\n")?;
    let said = machine.refused(&["up", "--port", "8081"])?;
    ensure!(said.contains("has ended") && said.contains("prot"), "{said}");
    Ok(())
}
