//! What can be typed.

mod inside;
mod mcp;
mod policy;
mod sandboxes;
mod servers;
mod stored;
mod values;
mod vault;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use inside::{Cp, Exec, Ls, PortForward, Run, ShellArgs};
pub(crate) use mcp::{Mcp, Serve, Transport};
pub(crate) use policy::Policy;
pub(crate) use sandboxes::{Create, Events, Logs, Many, One, Ps, Recipe, Stop, Top};
pub(crate) use servers::{Config, Down, Up};
pub(crate) use stored::{Image, Pool, Snapshot};
pub(crate) use vault::{Bind, Surface, VaultAction, VaultEdit};

/// Sandboxes for running code that nobody vouches for.
#[derive(Debug, Parser)]
#[command(name = "sb", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Holds for every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Server to talk to [default: the context's, else http://127.0.0.1:8080]
    #[arg(long, global = true, env = "SANDKEEP_URL", value_name = "URL")]
    url: Option<String>,
    /// Key of the server's API [default: the context's]
    #[arg(long, global = true, env = "OPEN_SANDBOX_API_KEY", hide_env_values = true, value_name = "KEY")]
    api_key: Option<String>,
    /// Which of the configured servers [default: the current one]
    #[arg(long, global = true, env = "SANDKEEP_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// How results are written
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    /// Reach sandboxes through the server instead of at their own addresses
    #[arg(long, global = true)]
    pub(crate) proxy: bool,
}

impl Global {
    /// What was given; an empty variable is none, as for a shell.
    pub(crate) fn url(&self) -> Option<&str> {
        said(&self.url)
    }

    pub(crate) fn api_key(&self) -> Option<&str> {
        said(&self.api_key)
    }

    pub(crate) fn context(&self) -> Option<&str> {
        said(&self.context)
    }
}

fn said(given: &Option<String>) -> Option<&str> {
    given.as_deref().filter(|text| !text.is_empty())
}

/// Forms of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
    /// For both
    Yaml,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a server on this machine unless one answers already
    Up(Up),
    /// End the server that `sb up` started; its sandboxes go on
    Down(Down),
    /// Create a sandbox and print its id
    Create(Create),
    /// Run one command in a sandbox of its own, which is deleted afterwards
    Run(Run),
    /// Run a command in a sandbox
    Exec(Exec),
    /// Open an interactive shell in a sandbox; Ctrl-P Ctrl-Q leaves it running
    Shell(ShellArgs),
    /// Copy files and directories to, from and between sandboxes
    Cp(Cp),
    /// List a directory of a sandbox
    Ls(Ls),
    /// Show what a sandbox's program printed
    Logs(Logs),
    /// Follow what happens to sandboxes
    Events(Events),
    /// List sandboxes
    Ps(Ps),
    /// Show everything about a sandbox
    Inspect(One),
    /// Delete sandboxes
    Rm(Many),
    /// Freeze sandboxes where they are
    Pause(Many),
    /// Let paused sandboxes go on
    Resume(Many),
    /// End the processes of sandboxes and keep their files
    Stop(Stop),
    /// Start stopped sandboxes
    Start(Many),
    /// Make, list and remove snapshots
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// List, pull, import and remove images
    #[command(subcommand)]
    Image(Image),
    /// Keep sandboxes ready ahead of their use
    #[command(subcommand)]
    Pool(Pool),
    /// See and change what a sandbox may reach outside
    #[command(subcommand)]
    Policy(Policy),
    /// Keep secrets outside a sandbox that its requests get on their way
    #[command(subcommand)]
    Vault(VaultAction),
    /// Bring a port of a sandbox to this machine
    PortForward(PortForward),
    /// Show what sandboxes use
    Top(Top),
    /// Find out what is missing, here and on the server
    Doctor,
    /// Offer sandboxes to AI models by the Model Context Protocol
    #[command(subcommand)]
    Mcp(Mcp),
    /// Name servers and choose one
    #[command(subcommand)]
    Config(Config),
    /// Print a completion script for a shell
    Completion {
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Write the manual pages into a directory
    Man { directory: PathBuf },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }
}
