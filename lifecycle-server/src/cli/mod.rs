//! The command line.

mod config;
mod image;
mod init;

use std::{
    io::{IsTerminal, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::{
    api, app,
    config::{Config, LogFormat},
};

/// A command shows its own result; only what went wrong on the way is worth a line more.
const COMMAND_LOG: &str = "warn";

/// Creates, finds, renews and removes sandboxes. Without a command: serves the API.
#[derive(Debug, Parser)]
#[command(name = "lifecycle-server", version)]
pub struct Cli {
    /// Configuration file [default: $SANDBOX_CONFIG_PATH, else ~/.sandbox.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the API's OpenAPI document as YAML
    Openapi {
        /// All that is served, or only one of its parts
        #[arg(long, value_enum, default_value_t = Document::Lifecycle)]
        document: Document,
    },
    /// Manage the images that sandboxes start from
    #[command(subcommand)]
    Image(image::Command),
    /// Look at a configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Write a configuration file with every key and its default
    InitConfig(init::Options),
}

/// An OpenAPI document of this server.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Document {
    /// Everything that is served
    Lifecycle,
    /// The Diagnostics API on its own
    Diagnostics,
}

impl Cli {
    /// Does what was asked for.
    ///
    /// # Errors
    /// With a text for the person who asked.
    pub fn run(self) -> Result<()> {
        match self.command {
            Some(Command::Openapi { document }) => {
                let document = match document {
                    Document::Lifecycle => api::document(),
                    Document::Diagnostics => api::diagnostics_document(),
                };
                print(&document.to_yaml()?)
            }
            Some(Command::Config(command)) => config::run(&command, self.config.as_deref()),
            Some(Command::InitConfig(options)) => init::run(&options),
            Some(Command::Image(command)) => {
                let config = load(self.config.as_deref())?;
                start_log(COMMAND_LOG, config.log.format);
                runtime()?.block_on(image::run(command, &config))
            }
            None => {
                let config = load(self.config.as_deref())?;
                config.require_api_key(&environment)?;
                start_log(&config.log.filter(), config.log.format);
                runtime()?.block_on(app::serve(config))
            }
        }
    }
}

fn load(path: Option<&Path>) -> Result<Config> {
    Ok(Config::load(path, &environment)?)
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the async runtime")
}

fn start_log(filter: &str, format: LogFormat) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// Writes to standard output; a reader that has gone away is no failure.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_configuration_may_be_named_before_or_after_the_command() {
        for line in ["x --config c.toml image list", "x image list --config c.toml"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.config.as_deref(), Some(Path::new("c.toml")), "{line}");
        }
    }
}
