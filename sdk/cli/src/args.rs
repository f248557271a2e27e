//! What can be typed.

mod mcp;
mod vault;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use mcp::{Mcp, Serve, Transport};
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
    pub(crate) url: Option<String>,
    /// Key of the server's API [default: the context's]
    #[arg(long, global = true, env = "OPEN_SANDBOX_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) api_key: Option<String>,
    /// Which of the configured servers [default: the current one]
    #[arg(long, global = true, env = "SANDKEEP_CONTEXT", value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// How results are written
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    /// Reach sandboxes through the server instead of at their own addresses
    #[arg(long, global = true)]
    pub(crate) proxy: bool,
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

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Port to listen on, at 127.0.0.1
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// Image archive to import first
    #[arg(long, value_name = "FILE")]
    pub(crate) import: Vec<PathBuf>,
}

/// What a sandbox is made of.
#[derive(Debug, Args)]
pub(crate) struct Recipe {
    /// Variable of the sandbox
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) env: Vec<(String, String)>,
    /// Label
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) label: Vec<(String, String)>,
    /// Processors, such as 2 or 500m
    #[arg(long)]
    pub(crate) cpu: Option<String>,
    /// Memory, such as 512Mi
    #[arg(long)]
    pub(crate) memory: Option<String>,
    /// Disk space, such as 4Gi
    #[arg(long)]
    pub(crate) disk: Option<String>,
    /// Seconds until it is deleted, 0 for never
    #[arg(long, default_value_t = 600)]
    pub(crate) timeout: u64,
    /// A name, address or network it may reach outside; nothing else then
    #[arg(long, value_name = "TARGET")]
    pub(crate) allow: Vec<String>,
    /// A name, address or network it may not reach; all else, unless something is allowed
    #[arg(long, value_name = "TARGET")]
    pub(crate) deny: Vec<String>,
    /// Have secrets put into its requests on their way; `sb vault` keeps them. Needs --allow or --deny
    #[arg(long)]
    pub(crate) credential_proxy: bool,
    /// Extension of the create request
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) extension: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Image to start from
    #[arg(required_unless_present_any = ["snapshot", "pool", "template"])]
    pub(crate) image: Option<String>,
    /// Snapshot to start from
    #[arg(long, conflicts_with_all = ["image", "pool", "template"])]
    pub(crate) snapshot: Option<String>,
    /// Pool to take it from
    #[arg(long, conflicts_with_all = ["image", "template"])]
    pub(crate) pool: Option<String>,
    /// Template to make it from
    #[arg(long, conflicts_with = "image")]
    pub(crate) template: Option<String>,
    #[command(flatten)]
    pub(crate) recipe: Recipe,
    /// Program of the sandbox, which ends with it [default: one that waits]
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Image to start from
    pub(crate) image: String,
    #[command(flatten)]
    pub(crate) recipe: Recipe,
    /// Keep the sandbox
    #[arg(long)]
    pub(crate) keep: bool,
    /// Directory to run in
    #[arg(short = 'w', long)]
    pub(crate) workdir: Option<String>,
    /// Give the command this tool's standard input
    #[arg(short, long)]
    pub(crate) interactive: bool,
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// Sandbox, or the beginning of its id
    pub(crate) sandbox: String,
    /// Directory to run in
    #[arg(short = 'w', long)]
    pub(crate) workdir: Option<String>,
    /// Variable of the command
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) env: Vec<(String, String)>,
    /// Seconds after which it is killed
    #[arg(long)]
    pub(crate) timeout: Option<u64>,
    /// Give the command this tool's standard input
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Start it and print its id
    #[arg(short, long, conflicts_with = "interactive")]
    pub(crate) detach: bool,
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ShellArgs {
    /// Sandbox, or the beginning of its id
    pub(crate) sandbox: String,
    /// Directory to start in
    #[arg(short = 'w', long)]
    pub(crate) workdir: Option<String>,
    /// Come back to a shell that was left
    #[arg(long, value_name = "TERMINAL", conflicts_with = "workdir")]
    pub(crate) attach: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Cp {
    /// PATH, or SANDBOX:PATH
    pub(crate) from: String,
    /// PATH, or SANDBOX:PATH
    pub(crate) to: String,
}

#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// SANDBOX:PATH
    pub(crate) place: String,
    /// Levels below the directory
    #[arg(long, default_value_t = 1)]
    pub(crate) depth: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Sandbox, or the beginning of its id
    pub(crate) sandbox: String,
    /// Go on with what comes
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Lines from the end
    #[arg(short = 'n', long)]
    pub(crate) tail: Option<u32>,
    /// Only what came within this time, such as 10m
    #[arg(long)]
    pub(crate) since: Option<String>,
    /// Begin lines with the instant they came
    #[arg(short, long)]
    pub(crate) timestamps: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Only of these sandboxes
    pub(crate) sandboxes: Vec<String>,
    /// Begin after the event of this number; 0 is the oldest there is
    #[arg(long)]
    pub(crate) after: Option<i64>,
    /// End after this many events
    #[arg(long)]
    pub(crate) count: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct Ps {
    /// Those that have ended as well
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Only with this label
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) label: Vec<(String, String)>,
    /// Only ids
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// Sandbox, or the beginning of its id
    pub(crate) sandbox: String,
}

#[derive(Debug, Args)]
pub(crate) struct Many {
    /// Sandboxes, or beginnings of their ids
    #[arg(required = true)]
    pub(crate) sandboxes: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Stop {
    #[command(flatten)]
    pub(crate) many: Many,
    /// Keep their memory, where the server can
    #[arg(long)]
    pub(crate) memory: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Snapshot {
    /// Make one of a sandbox and print its id
    Create {
        sandbox: String,
        #[arg(long)]
        name: Option<String>,
    },
    /// List them
    Ls,
    /// Remove some
    Rm {
        #[arg(required = true)]
        snapshots: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// List them
    Ls,
    /// Fetch one from its registry
    Pull {
        reference: String,
        /// User at the registry; the password is read from SANDKEEP_REGISTRY_PASSWORD
        #[arg(long)]
        username: Option<String>,
    },
    /// Take one from a docker or OCI archive
    Import {
        file: PathBuf,
        /// Name to give it [default: those in the archive]
        #[arg(long)]
        name: Vec<String>,
    },
    /// Remove some
    Rm {
        #[arg(required = true)]
        references: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Pool {
    /// Make one
    Create {
        name: String,
        /// Image of its sandboxes
        #[arg(long)]
        image: String,
        /// Sandboxes that wait for an owner
        #[arg(long, default_value_t = 2)]
        size: u32,
        /// Most sandboxes, those with an owner included
        #[arg(long, default_value_t = 100)]
        max: u32,
    },
    /// List them
    Ls,
    /// Remove some
    Rm {
        #[arg(required = true)]
        pools: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Show what is in force
    Get { sandbox: String },
    /// Replace all of it
    Set {
        sandbox: String,
        /// A name, address or network it may reach; nothing else then
        #[arg(long, value_name = "TARGET")]
        allow: Vec<String>,
        /// One it may not reach; all else, unless something is allowed
        #[arg(long, value_name = "TARGET", required_unless_present = "allow")]
        deny: Vec<String>,
    },
    /// Let it reach more
    Allow {
        sandbox: String,
        #[arg(required = true)]
        targets: Vec<String>,
    },
    /// Let it reach less
    Deny {
        sandbox: String,
        #[arg(required = true)]
        targets: Vec<String>,
    },
    /// Remove rules
    Rm {
        sandbox: String,
        #[arg(required = true)]
        targets: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PortForward {
    /// Sandbox, or the beginning of its id
    pub(crate) sandbox: String,
    /// PORT, or LOCAL:REMOTE; local 0 takes any free one
    #[arg(value_parser = ports)]
    pub(crate) ports: (u16, u16),
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Only these
    pub(crate) sandboxes: Vec<String>,
    /// Measure again and again, this many seconds apart
    #[arg(long, value_name = "SECONDS")]
    pub(crate) watch: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// List the servers
    Ls,
    /// Name a server; the first one becomes the current
    Set {
        name: String,
        #[arg(long = "server")]
        server: String,
        /// The key is read from this file [default: standard input]
        #[arg(long)]
        key_file: Option<PathBuf>,
    },
    /// Choose a server
    Use { name: String },
    /// Forget a server
    Rm { name: String },
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("is not NAME=VALUE")?;
    if name.is_empty() { Err("has no name".to_owned()) } else { Ok((name.to_owned(), value.to_owned())) }
}

fn ports(text: &str) -> Result<(u16, u16), String> {
    let port = |text: &str| text.parse::<u16>().map_err(|_| format!("{text:?} is not a port"));
    let (local, remote) = match text.split_once(':') {
        Some((local, remote)) => (port(local)?, port(remote)?),
        None => (port(text)?, port(text)?),
    };
    if remote == 0 { Err("0 is not a port of a sandbox".to_owned()) } else { Ok((local, remote)) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn ports_are_one_or_two() {
        assert_eq!(ports("80"), Ok((80, 80)));
        assert_eq!(ports("0:80"), Ok((0, 80)));
        for text in ["", "a", "80:", "70000", "0", "1:0", "1:2:3"] {
            assert!(ports(text).is_err(), "{text}");
        }
    }

    #[test]
    fn pairs_keep_further_equals_signs() {
        assert_eq!(pair("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert!(pair("A").is_err() && pair("=b").is_err());
    }
}
