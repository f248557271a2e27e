//! `sb`: sandboxes from the command line.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its user")]

mod args;
mod commands;
mod context;
mod ids;
mod mcp;
mod output;
mod problem;
mod progress;
mod terminal;

use std::process::ExitCode;

use clap::Parser as _;

use args::Cli;

/// Threads: a client waits more than it works.
const WORKERS: usize = 2;

/// What shells report of a program that wrote to nobody.
const READER_GONE: u8 = 141;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    let done = match runtime {
        Ok(runtime) => {
            let done = runtime.block_on(commands::run(cli));
            // A thread that waits for the keyboard would keep the process.
            runtime.shutdown_background();
            done
        }
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) if error.is::<output::ReaderGone>() => ExitCode::from(READER_GONE),
        Err(error) => {
            problem::tell(&error);
            ExitCode::FAILURE
        }
    }
}
