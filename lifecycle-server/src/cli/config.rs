//! `config`: looks at a configuration without serving.

use std::path::Path;

use anyhow::Result;
use clap::Subcommand;

use super::{environment, load, print};
use crate::config::SKELETON;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Report everything that is wrong with the configuration, or what of it has no effect
    Check,
    /// Print a configuration with every key and its default
    Example,
}

pub(super) fn run(command: &Command, path: Option<&Path>) -> Result<()> {
    match command {
        Command::Example => print(SKELETON),
        Command::Check => {
            let config = load(path)?;
            config.require_api_key(&environment)?;
            let ignored = config.without_effect();
            let notes = ignored.iter().map(|key| format!("{key} has no effect here\n"));
            print(&(notes.collect::<String>() + "the configuration is valid\n"))
        }
    }
}
