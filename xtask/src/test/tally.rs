//! Counting tests from what cargo's test harness prints.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Tests that ran, over any number of test programs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Runs `cargo test`, passing its output through and counting as it goes.
    pub(crate) fn run(&mut self, command: &mut Command) -> Result<()> {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start cargo test")?;
        let stdout = child.stdout.take().context("cargo test has no output")?;
        for line in BufReader::new(stdout).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            println!("{line}");
            if let Some(counted) = parse(&line) {
                self.add(&counted);
            }
        }
        let status = child.wait()?;
        if !status.success() {
            bail!("cargo test failed with {} failed tests: {status}", self.failed);
        }
        if self.passed == 0 {
            bail!("cargo test ran no test");
        }
        Ok(())
    }
}

/// The counts of one `test result:` line.
fn parse(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |what: &str| {
        let part = counts.split("; ").find_map(|part| part.strip_suffix(what))?;
        part.trim().parse().ok()
    };
    Some(Tally { passed: count(" passed")?, failed: count(" failed")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_counted_and_others_are_not() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(parse(line), Some(Tally { passed: 12, failed: 3 }));
        let line =
            "test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 1.50s";
        assert_eq!(parse(line), Some(Tally { passed: 7, failed: 0 }));
        assert_eq!(parse("test tests::a_result ... ok"), None);
        assert_eq!(parse("running 3 tests"), None);
    }

    #[test]
    fn a_failing_command_is_an_error_and_keeps_its_counts() {
        let mut tally = Tally::default();
        let script = "echo 'test result: FAILED. 1 passed; 2 failed; 0 ignored'; exit 101";
        let error = tally.run(Command::new("sh").args(["-c", script])).unwrap_err();
        assert_eq!(tally, Tally { passed: 1, failed: 2 });
        assert!(error.to_string().contains("2 failed"), "{error}");
    }

    #[test]
    fn a_run_without_tests_is_an_error() {
        assert!(Tally::default().run(&mut Command::new("true")).is_err());
    }
}
