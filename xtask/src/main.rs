//! Every chore of the repository behind one command: `cargo xtask COMMAND`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its user")]

mod bench;
mod criu;
mod dist;
mod docs;
mod fuzz;
mod images;
mod node;
mod openapi;
mod packages;
mod paths;
mod progress;
mod quickstart;
mod reaper;
mod release;
mod sdk;
mod shell;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, tests, measures and starts Sandkeep")]
struct Cli {
    #[command(subcommand)]
    command: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Set everything up, start a server and run code in a first sandbox
    Quickstart(quickstart::Options),
    /// Build the release binaries into target/dist
    Build,
    /// Install the Debian packages that building and testing need, and CRIU
    Setup(packages::Options),
    /// Make the sandbox images in target/images
    Images(images::Options),
    /// Pack what is shipped into target/release-archive: binaries, unit, configuration, documents, checksums
    Release(release::Options),
    /// Write specs/openapi/*.yaml from the routers
    Openapi(openapi::Options),
    /// Write the generated parts of the SDKs from specs/openapi
    Sdk(sdk::Options),
    /// Build the book from docs/ into target/book, with a pinned mdBook
    Docs(docs::Options),
    /// Run every check and test there is
    Test(test::Options),
    /// Fuzz the parsers of execd; needs a nightly toolchain
    Fuzz(fuzz::Options),
    /// Measure the rows of the performance table
    Bench(bench::Options),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<()> {
    match chore {
        Chore::Quickstart(options) => quickstart::run(&options),
        Chore::Build => dist::build(),
        Chore::Setup(options) => packages::run(&options),
        Chore::Images(options) => images::run(&options),
        Chore::Release(options) => release::run(&options),
        Chore::Openapi(options) => openapi::run(&options),
        Chore::Sdk(options) => sdk::run(&options),
        Chore::Docs(options) => docs::run(&options),
        Chore::Test(options) => reaper::under(|| test::run(&options)),
        Chore::Fuzz(options) => fuzz::run(&options),
        Chore::Bench(options) => bench::run(&options),
    }
}
