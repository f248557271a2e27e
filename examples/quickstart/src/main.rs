//! A first walk through a sandbox: create it, run a command and Python with live output, move files.
//!
//! `SANDKEEP_URL` and `OPEN_SANDBOX_API_KEY` say which server; `cargo xtask quickstart` sets them.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the example shows what happens")]

mod story;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;
use sandkeep::{Client, CreateOptions, Sandbox};

/// The example deletes its sandbox; should it be killed before, the sandbox ends by itself.
const LIFETIME: Duration = Duration::from_secs(300);

#[derive(Parser)]
#[command(about = "Creates a sandbox, runs a command and Python in it, moves files, removes it")]
struct Options {
    /// Image of the sandbox; it must have python3
    #[arg(long, default_value = "sandkeep/base:latest")]
    image: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<()> {
    let client = Client::from_env()?;

    let start = Instant::now();
    let create = CreateOptions::image(&options.image).lifetime(LIFETIME).metadata("example", "quickstart");
    let sandbox = Sandbox::create(&client, create).await?;
    println!("sandbox {} answers after {}", sandbox.id(), millis(start.elapsed()));

    let told = story::tell(&sandbox).await;
    let start = Instant::now();
    let deleted = sandbox.delete().await;
    told?;
    deleted?;
    println!("\nsandbox removed in {}", millis(start.elapsed()));
    Ok(())
}

/// A duration in milliseconds, with the digits that mean something.
fn millis(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    if millis < 10.0 { format!("{millis:.2} ms") } else { format!("{millis:.0} ms") }
}
