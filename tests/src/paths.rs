//! Where the parts under test are found, and how to get them when they are not there.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Name the base image is imported under.
pub const BASE_IMAGE: &str = "sandkeep/base:latest";
/// Name the image with all toolchains is imported under.
pub const CODE_IMAGE: &str = "sandkeep/code-interpreter:latest";
/// Name its published client's documentation asks for.
pub const DOCUMENTED_CODE_IMAGE: &str = "opensandbox/code-interpreter:v1.1.0";

/// Root of the workspace.
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// A release binary made by `cargo xtask build`; `SANDKEEP_DIST` names another directory.
pub fn dist(binary: &str) -> Result<PathBuf> {
    let dir =
        std::env::var_os("SANDKEEP_DIST").map_or_else(|| workspace().join("target/dist"), PathBuf::from);
    require(dir.join(binary), "run `cargo xtask build` or set SANDKEEP_DIST")
}

/// Archive of the base image.
pub fn base_image() -> Result<PathBuf> {
    require(workspace().join("target/images/sandkeep-base.tar"), "run `cargo xtask images`")
}

/// Archive of the image with all toolchains.
pub fn code_image() -> Result<PathBuf> {
    require(workspace().join("target/images/sandkeep-code-interpreter.tar"), "run `cargo xtask images`")
}

/// Directory for everything the tests leave behind on purpose (screenshots, the Python environment).
pub fn artifacts() -> Result<PathBuf> {
    let dir = workspace().join("target/e2e");
    std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    Ok(dir)
}

/// A script under `tests/python`.
pub fn script(name: &str) -> PathBuf {
    workspace().join("tests/python").join(name)
}

/// Full path of a program, or an error naming the Debian package that brings it.
pub fn program(name: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
        .with_context(|| format!("{name} is not installed: apt-get install {package}"))
}

/// Fails unless the tests run as root: they make namespaces, mounts and cgroups.
pub fn require_root() -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "the end-to-end tests need root: run them with sudo");
    Ok(())
}

fn require(path: PathBuf, how: &str) -> Result<PathBuf> {
    ensure!(path.is_file(), "{} is missing: {how}", path.display());
    Ok(path)
}
