//! `init-config`: a configuration to start from.

use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Args;

use super::print;
use crate::config::{DEFAULT_FILE, SKELETON};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where to write it [default: ~/.sandbox.toml]
    path: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let path = match &options.path {
        Some(path) => path.clone(),
        None => {
            let home = std::env::var_os("HOME").context("there is no home directory; name the file")?;
            Path::new(&home).join(DEFAULT_FILE)
        }
    };
    let mut file = OpenOptions::new();
    file.write(true).mode(0o600);
    if options.force {
        file.create(true).truncate(true)
    } else {
        file.create_new(true)
    };
    file.open(&path)
        .and_then(|mut file| file.write_all(SKELETON.as_bytes()))
        .with_context(|| format!("cannot write {} (--force replaces a file)", path.display()))?;
    print(&format!("{}\n", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// The skeleton with every key made effective.
    fn uncommented() -> String {
        SKELETON.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_key_of_the_skeleton_is_valid() {
        let none = |_: &str| None;
        for text in [SKELETON.to_owned(), uncommented()] {
            Config::parse(&text, Path::new("config.toml"), &none).unwrap();
        }
    }

    #[test]
    fn a_file_that_is_there_stays_without_force() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, "mine").unwrap();
        assert!(run(&Options { path: Some(path.clone()), force: false }).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        run(&Options { path: Some(path.clone()), force: true }).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), SKELETON);
    }
}
