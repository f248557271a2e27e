//! The lifecycle server's program.

use std::process::ExitCode;

use clap::Parser;
use lifecycle_server::{app, cli::Cli, runtime::native};

fn main() -> ExitCode {
    // First of all: the native runtime starts this program again as its small helper.
    native::launcher::run_if_asked();
    app::limit_arenas();
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the log may not have been set up yet")]
fn report(error: &anyhow::Error) {
    eprintln!("lifecycle-server: {error:#}");
}
