//! egress-sidecar: the outbound rules of one network namespace.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use egress_sidecar::{api, config::Config, daemon, memory::Scrubbing};

/// Decides what the network namespace it runs in may reach. Everything is set by OPENSANDBOX_EGRESS_* variables.
#[derive(Debug, Parser)]
#[command(name = "egress-sidecar", version)]
struct Cli {
    #[command(subcommand)]
    action: Option<Action>,
}

/// Things to do instead of serving.
#[derive(Debug, Subcommand)]
enum Action {
    /// Print the OpenAPI document as YAML
    Openapi,
}

#[global_allocator]
static ALLOCATOR: Scrubbing = Scrubbing;

fn main() -> ExitCode {
    let done = match Cli::parse().action {
        Some(Action::Openapi) => print_document().map_err(anyhow::Error::from),
        None => Config::from_environment().map_err(anyhow::Error::from).and_then(daemon::run),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing is left to do should even this fail.
            let _ = writeln!(io::stderr(), "egress-sidecar: {failure:#}");
            ExitCode::FAILURE
        }
    }
}

fn print_document() -> io::Result<()> {
    let yaml = api::document().to_yaml().map_err(io::Error::other)?;
    io::stdout().write_all(yaml.as_bytes())
}
