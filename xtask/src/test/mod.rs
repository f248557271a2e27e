//! Everything that must hold before a change lands.

mod deny;
mod tally;

use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::progress::{seconds, step};
use crate::{dist, images, openapi, packages, quickstart, shell};
use tally::Tally;

#[derive(Args)]
pub(crate) struct Options {
    /// Leave the end-to-end tests and the quick start out
    #[arg(long)]
    quick: bool,
}

/// What went wrong, gathered so that one run shows everything.
#[derive(Default)]
struct Report {
    failed: Vec<String>,
    tests: Tally,
}

impl Report {
    fn check(&mut self, title: &str, work: impl FnOnce() -> Result<()>) -> bool {
        let result = step(title, work);
        if let Err(error) = &result {
            println!("    FAILED: {error:#}");
            self.failed.push(title.to_owned());
        }
        result.is_ok()
    }

    fn tests(&mut self, title: &str, arguments: &[&str]) {
        let mut tests = Tally::default();
        self.check(title, || tests.run(shell::cargo().arg("test").args(arguments)));
        self.tests.add(&tests);
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    let mut report = Report::default();
    packages::install_for_tests()?;

    // Compiling cargo-deny and making the image need no file of the build, so they run beside it.
    thread::scope(|scope| {
        let deny = scope.spawn(deny::prepare);
        let image = scope.spawn(|| if options.quick { Ok(()) } else { images::base().map(drop) });
        lints(&mut report);
        let built = options.quick || report.check("Building the release binaries", dist::compile);
        report.check("Base image", || image.join().expect("making the image does not panic"));
        report.check("Dependencies: bans, licences, sources", || {
            deny.join().expect("preparing cargo-deny does not panic").and_then(|tool| deny::check(&tool))
        });
        report.check("OpenAPI documents match the routers", openapi::check);
        report.tests(
            "Unit and in-process tests",
            &["--locked", "--workspace", "--exclude", "sandkeep-tests", "--no-fail-fast"],
        );
        if !options.quick && built {
            report.tests("End-to-end tests", &["--locked", "--package", "sandkeep-tests", "--no-fail-fast"]);
            report.check("Quick start", quickstart::smoke);
        }
    });

    println!("\nwhole run: {}", seconds(start.elapsed()));
    for title in &report.failed {
        println!("failed: {title}");
    }
    // A failed check counts like a failed test: the closing line must not look better than the run.
    let failed = report.tests.failed.max(report.failed.len() as u64);
    println!("{} passed, {} failed", report.tests.passed, failed);
    if !report.failed.is_empty() {
        bail!("{} of the checks failed", report.failed.len());
    }
    Ok(())
}

fn lints(report: &mut Report) {
    report.check("Formatting", || shell::run(shell::cargo().args(["fmt", "--all", "--", "--check"])));
    report.check("Lints", || {
        let clippy = ["clippy", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"];
        shell::run(shell::cargo().args(clippy))
    });
    report.check("Documentation", || {
        let doc = ["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"];
        shell::run(shell::cargo().args(doc).env("RUSTDOCFLAGS", "--deny warnings"))
    });
}
