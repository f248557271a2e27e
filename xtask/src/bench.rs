//! Measuring, alone or against another revision.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::progress::step;
use crate::{dist, images, node, packages, paths, shell};

#[derive(Args)]
pub(crate) struct Options {
    /// Measure only the rows whose name contains this
    #[arg(long, value_name = "ROW")]
    only: Option<String>,
    /// Also build this git revision and measure both in turns
    #[arg(long, value_name = "REV")]
    against: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    packages::install()?;
    node::install()?;
    dist::build()?;
    images::base()?;
    let against = options.against.as_deref().map(build_revision).transpose()?;
    let client = step("Building the measuring client", build_client)?;

    let results = paths::output("bench/results.json");
    fs::create_dir_all(paths::output("bench"))?;
    let mut bench = shell::root_command("env");
    let mut path = OsString::from("PATH=");
    path.push(node::path());
    bench.arg(path).arg(client).arg("--out").arg(&results);
    bench.arg("--side").arg(side(&describe("HEAD")?, &paths::dist()));
    if let (Some(revision), Some(dist)) = (&options.against, against) {
        bench.arg("--side").arg(side(&describe(revision)?, &dist));
    }
    if let Some(only) = &options.only {
        bench.arg("--only").arg(only);
    }
    shell::run(&mut bench)
}

fn side(revision: &str, dist: &std::path::Path) -> String {
    format!("{revision}={}", dist.display())
}

fn build_client() -> Result<PathBuf> {
    let build = ["build", "--locked", "--release", "--package", "sandkeep-tests", "--bin", "bench"];
    shell::run(shell::cargo().args(build))?;
    Ok(paths::cargo_target().join("release/bench"))
}

/// Checks the revision out beside the work tree and builds it there.
fn build_revision(revision: &str) -> Result<PathBuf> {
    let commit = git(&["rev-parse", "--verify", &format!("{revision}^{{commit}}")])
        .with_context(|| format!("there is no revision {revision}"))?;
    let dir = paths::output("bench").join(&commit);
    let tree = dir.join("tree");
    if !tree.exists() {
        fs::create_dir_all(&dir)?;
        git(&["worktree", "prune"])?;
        git(&["worktree", "add", "--detach", &tree.display().to_string(), &commit])?;
    }
    let dist = dir.join("dist");
    step(&format!("Building revision {revision}"), || {
        dist::build_into(&tree, &paths::output("bench").join("cargo"), &dist, &[dist::SERVER])
    })?;
    Ok(dist)
}

/// The commit's short name, marked when the work tree differs from it.
fn describe(revision: &str) -> Result<String> {
    let short = git(&["rev-parse", "--short", revision])?;
    let changed = revision == "HEAD" && !git(&["status", "--porcelain"])?.is_empty();
    Ok(if changed { format!("{short}-changed") } else { short })
}

fn git(arguments: &[&str]) -> Result<String> {
    let mut command = std::process::Command::new("git");
    Ok(shell::capture(command.current_dir(paths::root()).args(arguments))?.trim().to_owned())
}
