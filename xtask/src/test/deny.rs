//! cargo-deny, installed once below `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::{paths, shell};

/// The version whose checks `deny.toml` is written for.
const VERSION: &str = "0.20.2";

/// Installs cargo-deny if it is not there yet, and returns the program.
pub(crate) fn prepare() -> Result<PathBuf> {
    let root = paths::output("tools");
    let program = root.join("bin/cargo-deny");
    if !is_current(&program) {
        let mut install = shell::cargo();
        install.args([
            "install",
            "--quiet",
            "--locked",
            "--force",
            "cargo-deny",
            "--version",
            VERSION,
            "--root",
        ]);
        // A build directory of its own, so that it neither waits for the workspace's build nor blocks it.
        install.arg(&root).env("CARGO_TARGET_DIR", root.join("build"));
        shell::run_logged("cargo-deny-install", &mut install)?;
    }
    Ok(program)
}

/// Checks everything that needs no database from the network.
pub(crate) fn check(program: &Path) -> Result<()> {
    let checks = ["--workspace", "--locked", "check", "bans", "licenses", "sources"];
    shell::run(Command::new(program).current_dir(paths::root()).args(checks))
}

fn is_current(program: &Path) -> bool {
    let version = shell::capture(Command::new(program).arg("--version"));
    version.is_ok_and(|text| text.split_whitespace().any(|word| word == VERSION))
}
