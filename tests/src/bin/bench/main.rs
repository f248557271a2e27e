//! Measures what users feel: one server per revision, every row in turns, results as a table and as JSON.
//!
//! `cargo xtask bench` builds everything and calls this.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its user")]

mod alone;
mod dns;
mod http;
mod measure;
mod rows;
mod sandbox;
mod side;
mod stats;
mod tls;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;

use rows::{ROWS, Row};
use side::Side;
use stats::Summary;

#[derive(Parser)]
#[command(about = "Measures Sandkeep's release binaries")]
struct Options {
    /// Revision and directory of its binaries, `REVISION=DIRECTORY`; given twice, both are measured in turns
    #[arg(long = "side", value_name = "REVISION=DIR")]
    sides: Vec<String>,
    /// Measure only the rows whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Where the results go, as JSON
    #[arg(long, default_value = "results.json")]
    out: PathBuf,
    /// Be a side: measure what standard input asks for
    #[arg(long, hide = true)]
    serve: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    if options.serve {
        return side::serve();
    }
    let wanted: Vec<&Row> = ROWS.iter().filter(|row| row.matches(options.only.as_deref())).collect();
    ensure!(!wanted.is_empty(), "no row bears that name; there are:\n{}", names());
    ensure!(!options.sides.is_empty(), "--side is missing");
    let mut sides = options.sides.iter().map(|side| Side::start(side)).collect::<Result<Vec<_>>>()?;

    println!("{}", stats::HEADER);
    let mut summaries = Vec::new();
    for row in wanted {
        for summary in compare(row, &mut sides) {
            println!("{summary}");
            summaries.push(summary);
        }
    }
    for side in sides {
        side.stop()?;
    }
    fs::write(&options.out, serde_json::to_string_pretty(&stats::json(&summaries))? + "\n")?;
    println!("written to {}", options.out.display());
    Ok(())
}

/// Measures one row on every side, in turns, so that what else the machine does hits all alike.
fn compare(row: &Row, sides: &mut [Side]) -> Vec<Summary> {
    let mut samples = vec![Vec::new(); sides.len()];
    for _ in 0..row.rounds {
        for (side, samples) in sides.iter_mut().zip(&mut samples) {
            match side.measure(row) {
                Ok(values) => samples.extend(values),
                Err(error) => println!("{} at {}: {error:#}", row.name, side.revision),
            }
        }
    }
    let sides = sides.iter().zip(samples).filter(|(_, samples)| !samples.is_empty());
    sides.map(|(side, samples)| Summary::new(row, &side.revision, samples)).collect()
}

fn names() -> String {
    ROWS.iter().map(|row| format!("  {}", row.name)).collect::<Vec<_>>().join("\n")
}
