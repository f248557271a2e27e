//! TypeScript: types and routes by openapi-typescript, called from a script of ours.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{node, paths, shell};

const HOME: &str = "sdk/typescript";

pub(super) fn generate(output: &Path) -> Result<()> {
    node::install()?;
    install()?;
    let mut command = Command::new("node");
    command.env("PATH", node::path());
    command.current_dir(paths::root().join(HOME)).arg("scripts/generate.mjs");
    command.arg(paths::root().join("specs/openapi")).arg(output.join("src/generated"));
    shell::run_logged("sdk-typescript", &mut command)
}

/// What the lock file names, in `node_modules`; installed once for each lock file.
fn install() -> Result<()> {
    let home = paths::root().join(HOME);
    let lock = home.join("package-lock.json");
    let wanted = fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let installed = home.join("node_modules/.installed");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.env("PATH", node::path()).current_dir(&home).args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
    ]);
    shell::run_logged("sdk-typescript-install", &mut npm)?;
    Ok(fs::write(&installed, wanted)?)
}
