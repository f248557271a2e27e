//! Where things are, so that every chore works from any directory.

use std::env;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root of the repository")
}

/// Cargo's build directory, which `CARGO_TARGET_DIR` may have moved.
pub(crate) fn cargo_target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// What the chores make for people and tests; always below the repository.
pub(crate) fn output(name: &str) -> PathBuf {
    root().join("target").join(name)
}

/// The release binaries.
pub(crate) fn dist() -> PathBuf {
    output("dist")
}

/// The caller's home directory.
pub(crate) fn home() -> PathBuf {
    env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from)
}
