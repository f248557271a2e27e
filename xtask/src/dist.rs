//! The release binaries, collected in `target/dist`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::progress::step;
use crate::{paths, shell};

/// The server's package, and its binary's name.
pub(crate) const SERVER: &str = "lifecycle-server";

/// What guards the network of a sandbox, likewise.
pub(crate) const SIDECAR: &str = "egress-sidecar";

/// The command line tool's package.
const CLI: &str = "sandkeep-cli";

/// Its binary's name.
pub(crate) const TOOL: &str = "sb";

/// The quick start's demonstration, likewise.
const DEMONSTRATION: &str = "sandkeep-quickstart";

/// Builds everything that is shipped, and says so.
pub(crate) fn build() -> Result<()> {
    step("Building the release binaries", compile)
}

/// Builds everything that is shipped.
pub(crate) fn compile() -> Result<()> {
    build_into(paths::root(), &paths::cargo_target(), &paths::dist(), &[SERVER, SIDECAR, CLI, DEMONSTRATION])
}

/// Flags of programs that have their own. They go to the last crate only.
fn flags(program: &str) -> Option<&'static [&'static str]> {
    match program {
        // It is put into images of any kind, so it brings its libc along.
        "execd" => Some(&["-C", "target-feature=+crt-static"]),
        // One runs beside every guarded sandbox, and half of what it weighs is its code, which linking it as one makes
        // smaller. To build the server like this would take far longer.
        SIDECAR => Some(&["-C", "lto=fat", "-C", "codegen-units=1"]),
        _ => None,
    }
}

/// Builds these packages and execd from the sources in `root` with cargo's directory `target`, and
/// copies the binaries to `dist`.
pub(crate) fn build_into(root: &Path, target: &Path, dist: &Path, packages: &[&str]) -> Result<()> {
    let cargo = || {
        let mut command = shell::cargo();
        command.current_dir(root).env("CARGO_TARGET_DIR", target);
        command
    };
    let (apart, together): (Vec<&str>, Vec<&str>) =
        packages.iter().chain(&["execd"]).partition(|name| flags(name).is_some());
    let selected = together.iter().flat_map(|name| ["--package", name]);
    shell::run(cargo().args(["build", "--locked", "--release"]).args(selected))?;

    for program in &apart {
        let build = ["rustc", "--locked", "--release", "--package", program, "--bin", program, "--"];
        shell::run(cargo().args(build).args(flags(program).unwrap_or_default()))?;
    }
    require_static(&target.join("release/execd"))?;

    fs::create_dir_all(dist)?;
    for package in together.into_iter().chain(apart) {
        let name = if package == CLI { TOOL } else { package };
        install(&target.join("release").join(name), &dist.join(name))?;
    }
    Ok(())
}

/// Replaces a binary by renaming, because the old one may be running; an equal one is left alone.
fn install(from: &Path, to: &Path) -> Result<()> {
    let new = fs::read(from).with_context(|| format!("cargo left no {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    let fresh = to.with_extension("new");
    fs::copy(from, &fresh).with_context(|| format!("cannot write {}", fresh.display()))?;
    fs::rename(&fresh, to).with_context(|| format!("cannot replace {}", to.display()))
}

/// A program that loads no libraries names no interpreter to load them with.
fn require_static(binary: &Path) -> Result<()> {
    let headers = shell::capture(Command::new("readelf").arg("--program-headers").arg("--wide").arg(binary))?;
    if headers.lines().any(|line| line.trim_start().starts_with("INTERP")) {
        bail!(
            "{} is linked dynamically; sandboxes without the host's libc could not run it",
            binary.display()
        );
    }
    Ok(())
}
