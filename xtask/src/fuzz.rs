//! Fuzzing the parsers of execd and of the egress sidecar, for a while each.
//!
//! The targets are those cargo-fuzz would run, built with the same instrumentation; no more than a nightly toolchain is
//! needed for that.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::progress::step;
use crate::{paths, shell};

/// Coverage counters and comparisons for libFuzzer, and the address sanitizer.
const INSTRUMENTATION: [&str; 9] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg",
    "fuzzing",
    "-Zsanitizer=address",
    "-Cdebug-assertions",
];

/// Instrumented code needs the target named, or build scripts would be instrumented too.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Longest input, in bytes; what matters in these formats is shorter.
const MAX_INPUT: usize = 4096;

/// Memory an input may take, in MiB.
const MEMORY_MIB: usize = 1024;

/// An input that takes longer than this, in seconds, is a finding.
const SLOW: usize = 5;

/// What has fuzz targets.
const PACKAGES: [&str; 2] = ["egress-sidecar", "execd"];

#[derive(Args)]
pub(crate) struct Options {
    /// How long to fuzz each target, in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Only these targets
    targets: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(has_nightly(), "fuzzing needs a nightly toolchain: rustup toolchain install nightly");
    let all = targets()?;
    let names: Vec<&str> = all.iter().map(|(_, name)| name.as_str()).collect();
    let unknown = options.targets.iter().find(|target| !names.contains(&target.as_str()));
    ensure!(unknown.is_none(), "there is no target {unknown:?}; there are {}", names.join(", "));
    let is_chosen = |name: &String| options.targets.is_empty() || options.targets.contains(name);
    let chosen: Vec<_> = all.iter().filter(|(_, name)| is_chosen(name)).collect();
    for package in PACKAGES.into_iter().filter(|package| chosen.iter().any(|(of, _)| of == package)) {
        step(&format!("Building the fuzz targets of {package}"), || build(package))?;
    }
    for (package, target) in chosen {
        let seconds = options.seconds;
        step(&format!("Fuzzing {target} of {package} for {seconds} s"), || fuzz(package, target, seconds))?;
    }
    Ok(())
}

/// Whether there is a toolchain that can build the targets.
fn has_nightly() -> bool {
    shell::has("rustup") && shell::capture(nightly().arg("--version")).is_ok()
}

fn nightly() -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]).current_dir(paths::root());
    // Set by the cargo that runs us, for its own toolchain.
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
    command
}

fn directory(package: &str) -> PathBuf {
    paths::root().join(package).join("fuzz")
}

fn build_dir() -> PathBuf {
    paths::output("fuzz")
}

fn build(package: &str) -> Result<()> {
    let mut command = nightly();
    command.args(["build", "--release", "--locked", "--bins", "--target", TARGET, "--manifest-path"]);
    command.arg(directory(package).join("Cargo.toml")).arg("--target-dir").arg(build_dir());
    command.env("RUSTFLAGS", INSTRUMENTATION.join(" ")).env_remove("CARGO_TARGET_DIR");
    shell::run_logged("fuzz-build", &mut command)
}

/// Every target, with the package it belongs to.
fn targets() -> Result<Vec<(&'static str, String)>> {
    let mut names = Vec::new();
    for package in PACKAGES {
        let dir = directory(package).join("fuzz_targets");
        let entries = fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))?;
        for entry in entries {
            let path = entry?.path();
            let name = path.file_stem().and_then(|name| name.to_str());
            names.extend(name.map(|name| (package, name.to_owned())));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// New inputs go to `target/fuzz/found`, the committed corpus is only read.
fn fuzz(package: &str, target: &str, seconds: u32) -> Result<()> {
    let found = build_dir().join("found").join(target);
    let failures = build_dir().join("failures");
    fs::create_dir_all(&found)?;
    fs::create_dir_all(&failures)?;
    let mut command = Command::new(build_dir().join(TARGET).join("release").join(target));
    command.arg(&found).arg(directory(package).join("corpus").join(target));
    for option in [
        format!("-max_total_time={seconds}"),
        format!("-max_len={MAX_INPUT}"),
        format!("-rss_limit_mb={MEMORY_MIB}"),
        format!("-timeout={SLOW}"),
        format!("-artifact_prefix={}/{target}-", failures.display()),
        "-print_final_stats=1".to_owned(),
    ] {
        command.arg(option);
    }
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {target}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    let executed = log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    println!("    {} inputs", executed.unwrap_or("no").trim());
    if !output.status.success() {
        bail!("{target}: an input in {} breaks it:\n{}", failures.display(), tail(&log));
    }
    Ok(())
}

fn tail(log: &str) -> String {
    const LINES: usize = 30;
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_target_has_a_corpus() {
        let targets = targets().unwrap();
        assert!(PACKAGES.iter().all(|package| targets.iter().any(|(of, _)| of == package)), "{targets:?}");
        let names: BTreeSet<_> = targets.iter().map(|(_, name)| name).collect();
        assert_eq!(names.len(), targets.len(), "two targets have one name: {targets:?}");
        for (package, target) in targets {
            let corpus = directory(package).join("corpus").join(&target);
            assert!(fs::read_dir(corpus).unwrap().next().is_some(), "{target}");
        }
    }
}
