//! Commands, files and ports of one sandbox.

use clap::Args;

use super::{
    sandboxes::Recipe,
    values::{pair, ports},
};

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
    /// Come back to a command that was started before, from the beginning of its output; Ctrl-C leaves it running
    #[arg(long, value_name = "ID", conflicts_with_all = ["workdir", "env", "timeout", "interactive", "detach", "command"])]
    pub(crate) attach: Option<String>,
    #[arg(last = true, required_unless_present = "attach", value_name = "COMMAND")]
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
pub(crate) struct PortForward {
    /// Sandbox, or the beginning of its id
    pub(crate) sandbox: String,
    /// PORT, or LOCAL:REMOTE; local 0 takes any free one
    #[arg(value_parser = ports)]
    pub(crate) ports: (u16, u16),
}
