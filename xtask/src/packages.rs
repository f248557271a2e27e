//! The Debian packages that the chores need, installed only where missing.

use std::collections::HashSet;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::criu;
use crate::progress::step;
use crate::shell;

/// To compile the daemons, make the base image and run the native runtime.
const BASE: &[&str] = &[
    "binutils",
    "ca-certificates",
    "e2fsprogs",
    "gcc",
    "iproute2",
    "libc6-dev",
    "mmdebstrap",
    "nftables",
    "procps",
    "util-linux",
];

/// To run every test as well.
const TESTS: &[&str] = &[
    "apache2-utils",
    "busybox-static",
    "chromium",
    "chromium-driver",
    "curl",
    "default-jdk-headless",
    "docker-registry",
    "git",
    "golang-go",
    "nodejs",
    "openssl",
    "postgresql",
    "python3",
    "python3-venv",
    "runc",
    "sqlite3",
    "systemd",
    "tar",
    "vim-tiny",
    "xz-utils",
    "zstd",
];

#[derive(Args)]
pub(crate) struct Options {
    /// Also install what only the tests need
    #[arg(long)]
    tests: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.tests { install_for_tests() } else { install() }?;
    criu::install();
    Ok(())
}

/// Installs what building and running needs.
pub(crate) fn install() -> Result<()> {
    ensure(BASE)
}

/// Installs what testing needs too.
pub(crate) fn install_for_tests() -> Result<()> {
    // Node from elsewhere brings npm along and does not get on with Debian's.
    let npm: &[&str] = if shell::has("npm") { &[] } else { &["npm"] };
    ensure(&[BASE, TESTS, npm].concat())
}

fn ensure(wanted: &[&str]) -> Result<()> {
    if !shell::has("apt-get") || !shell::has("dpkg-query") {
        bail!(
            "this set-up works with Debian's package manager, which this machine lacks; \
             install the equivalents of these by hand: {}",
            wanted.join(" ")
        );
    }
    let installed = installed(wanted)?;
    let missing: Vec<&str> = wanted.iter().copied().filter(|name| !installed.contains(*name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    step(&format!("Installing Debian packages: {}", missing.join(" ")), || {
        shell::run_logged("apt-update", apt().arg("update"))
            .context("cannot refresh the package lists: check the network and /etc/apt/sources.list")?;
        let mut install = apt();
        install.args(["install", "--yes", "--no-install-recommends"]).args(&missing);
        shell::run_logged("apt-install", &mut install)
            .with_context(|| format!("cannot install {}; try it by hand to see why", missing.join(" ")))
    })
}

fn installed(wanted: &[&str]) -> Result<HashSet<String>> {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${Package} ${db:Status-Status}\n"]).args(wanted);
    // It fails as soon as one name is unknown, and still lists the others.
    let output = shell::capture_any(&mut query)?;
    Ok(parse_installed(&String::from_utf8_lossy(&output.stdout)))
}

fn parse_installed(listing: &str) -> HashSet<String> {
    let pairs = listing.lines().filter_map(|line| line.split_once(' '));
    pairs.filter(|(_, status)| *status == "installed").map(|(name, _)| name.to_owned()).collect()
}

/// Another apt at work is waited for, but not for ever.
fn apt() -> Command {
    let mut command = shell::root_command("env");
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300", "--quiet"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fully_installed_packages_count() {
        let found =
            parse_installed("gcc installed\nrunc config-files\nnftables not-installed\ntar installed\n");
        assert_eq!(found, HashSet::from(["gcc".to_owned(), "tar".to_owned()]));
    }
}
