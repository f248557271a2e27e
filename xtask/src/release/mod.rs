//! What is shipped: an archive to install from, images of the daemons, and the checksums of all of it.

mod bundle;
mod daemons;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::images::archive::sha256_file;
use crate::progress::step;
use crate::{dist, paths};

/// Lists every other file of the directory, as `sha256sum --check` reads it.
const CHECKSUMS: &str = "SHA256SUMS";

#[derive(Args)]
pub(crate) struct Options {
    /// Also make images of the daemons, as archives that any container engine loads
    #[arg(long)]
    images: bool,
    /// Pack the binaries in target/dist as they are
    #[arg(long)]
    no_build: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.no_build {
        dist::build()?;
    }
    println!("{}", make(options.images)?.display());
    Ok(())
}

/// Packs the binaries in `target/dist`, and returns the directory with the results.
pub(crate) fn make(images: bool) -> Result<PathBuf> {
    let out = paths::output("release-archive");
    // Files of an earlier version must not stay among those that the checksums vouch for.
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("cannot clear {}", out.display()))?;
    }
    fs::create_dir_all(&out)?;
    step("Packing the release archive", || bundle::write(&out))?;
    if images {
        step("Making the image of execd", || daemons::write_execd(&out))?;
        step("Making the image of lifecycle-server", || daemons::write_server(&out))?;
        step("Making the image of egress-sidecar", || daemons::write_sidecar(&out))?;
    }
    fs::write(out.join(CHECKSUMS), checksums(&out)?)?;
    Ok(out)
}

fn checksums(dir: &Path) -> Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.push(entry.file_name().into_string().ok().context("a file name is not UTF-8")?);
        }
    }
    names.sort();
    let mut list = String::new();
    for name in names {
        writeln!(list, "{}  {name}", sha256_file(&dir.join(&name))?)?;
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_sorted_and_in_the_tools_format() {
        let dir = std::env::temp_dir().join(format!("xtask-checksums-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("b"), "").unwrap();
        fs::write(dir.join("a"), "abc").unwrap();
        let list = checksums(&dir).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(
            list,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a\n\
             e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  b\n"
        );
    }
}
