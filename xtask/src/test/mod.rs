//! Everything that must hold before a change lands.

mod deny;
mod tally;

use std::ffi::OsString;
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::progress::{seconds, step};
use crate::{dist, images, node, openapi, packages, quickstart, release, sdk, shell};
use tally::Tally;

#[derive(Args)]
pub(crate) struct Options {
    /// Leave the end-to-end tests and the quick start out
    #[arg(long)]
    quick: bool,
    /// Open and close everything as often as a long life would, not only a little
    #[arg(long)]
    soak: bool,
}

/// What went wrong, gathered so that one run shows everything.
#[derive(Default)]
struct Report {
    failed: Vec<String>,
    /// How many of the failed are test runs, whose failures `tests` counts one by one.
    failed_tests: usize,
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

    fn tests(&mut self, title: &str, arguments: &[&str], soak: bool) {
        let mut tests = Tally::default();
        let mut command = shell::cargo();
        command.arg("test").args(arguments).env("PATH", node::path());
        if let Some((variable, runner)) = root_runner() {
            command.env(variable, runner);
        }
        if soak {
            command.env("SANDKEEP_SOAK", "full");
        }
        let passed = self.check(title, || tests.run(&mut command));
        if !passed {
            // What did not even compile counts as one; counted failures are not counted again.
            tests.failed = tests.failed.max(1);
            self.failed_tests += 1;
        }
        self.tests.add(&tests);
    }

    /// Failed tests and failed checks together: the closing line must not look better than the run.
    fn all_failed(&self) -> u64 {
        self.tests.failed + (self.failed.len() - self.failed_tests) as u64
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    let mut report = Report::default();
    packages::install_for_tests()?;
    node::install()?;
    crate::criu::install();

    // Compiling cargo-deny and making the images need no file of the build, so they run beside it.
    thread::scope(|scope| {
        let deny = scope.spawn(deny::prepare);
        let images = scope.spawn(|| if options.quick { Ok(()) } else { images::all() });
        lints(&mut report);
        let built = options.quick || report.check("Building the release binaries", dist::compile);
        report.check("Images", || images.join().expect("making the images does not panic"));
        report.check("Dependencies: bans, licences, sources", || {
            deny.join().expect("preparing cargo-deny does not panic").and_then(|tool| deny::check(&tool))
        });
        report.check("OpenAPI documents match the routers", openapi::check);
        report.check("Generated parts of the SDKs match the documents", sdk::check);
        report.tests(
            "Unit and in-process tests",
            &["--locked", "--workspace", "--exclude", "sandkeep-tests", "--no-fail-fast"],
            options.soak,
        );
        if !options.quick && built {
            report.check("Release archive and images of the daemons", || release::make(true).map(drop));
            let end_to_end = ["--locked", "--package", "sandkeep-tests", "--no-fail-fast"];
            report.tests("End-to-end tests", &end_to_end, options.soak);
            report.check("Quick start", quickstart::smoke);
        }
    });

    println!("\nwhole run: {}", seconds(start.elapsed()));
    for title in &report.failed {
        println!("failed: {title}");
    }
    println!("{} passed, {} failed", report.tests.passed, report.all_failed());
    if !report.failed.is_empty() {
        bail!("{} of the checks failed", report.failed.len());
    }
    Ok(())
}

/// How cargo starts the tests as root where it runs as somebody else itself: they make namespaces, mounts and users.
fn root_runner() -> Option<(String, OsString)> {
    if shell::is_root() {
        return None;
    }
    let variable = format!("CARGO_TARGET_{}_UNKNOWN_LINUX_GNU_RUNNER", std::env::consts::ARCH.to_uppercase());
    let mut runner = OsString::from("sudo --preserve-env env PATH=");
    runner.push(node::path());
    Some((variable, runner))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_once_whatever_kind_they_are() {
        let mut report = Report::default();
        report.check("lint", || bail!("untidy"));
        report.failed.push("tests".to_owned());
        report.failed_tests = 1;
        report.tests = Tally { passed: 5, failed: 2 };
        assert_eq!(report.all_failed(), 3);
    }
}
