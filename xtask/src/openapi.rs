//! The committed OpenAPI documents, written by the daemons themselves.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{paths, shell};

/// Package and binary of a daemon, the name of a document of it, and what to call it with.
const DOCUMENTS: &[(&str, &str, &[&str])] = &[
    ("lifecycle-server", "lifecycle", &["openapi"]),
    ("lifecycle-server", "diagnostics", &["openapi", "--document", "diagnostics"]),
    ("execd", "execd", &["openapi"]),
    ("egress-sidecar", "egress", &["openapi"]),
];

/// How many differing lines `--check` shows for each document.
const SHOWN_DIFFERENCES: usize = 40;

#[derive(Args)]
pub(crate) struct Options {
    /// Change nothing; fail if a committed document differs from the routers
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.check { check() } else { write() }
}

/// Fails, with the differences, if a committed document is not what its daemon prints.
pub(crate) fn check() -> Result<()> {
    let mut drifted = Vec::new();
    for (package, name, call) in DOCUMENTS {
        let path = document(name);
        let committed = fs::read_to_string(&path).unwrap_or_default();
        let current = print(package, call)?;
        if committed != current {
            drifted.push(format!("{}:\n{}", path.display(), differences(&path, &current)?));
        }
    }
    if !drifted.is_empty() {
        bail!("the routers and specs/openapi differ; run `cargo xtask openapi`\n{}", drifted.join("\n"));
    }
    Ok(())
}

fn write() -> Result<()> {
    for (package, name, call) in DOCUMENTS {
        let path = document(name);
        let current = print(package, call)?;
        if fs::read_to_string(&path).is_ok_and(|committed| committed == current) {
            println!("unchanged  {}", path.display());
            continue;
        }
        fs::write(&path, current).with_context(|| format!("cannot write {}", path.display()))?;
        println!("written    {}", path.display());
    }
    Ok(())
}

fn document(name: &str) -> PathBuf {
    paths::root().join("specs/openapi").join(format!("{name}.yaml"))
}

/// What the daemon, built from the sources at hand, says its API is.
fn print(package: &str, call: &[&str]) -> Result<String> {
    let arguments = ["run", "--quiet", "--locked", "--package", package, "--bin", package, "--"];
    let document = shell::capture(shell::cargo().args(arguments).args(call))?;
    if !document.starts_with("openapi:") {
        bail!("`{package} openapi` did not print an OpenAPI document");
    }
    Ok(document)
}

fn differences(committed: &Path, current: &str) -> Result<String> {
    let fresh = paths::output("openapi-current.yaml");
    fs::create_dir_all(paths::output(""))?;
    fs::write(&fresh, current)?;
    let mut diff = std::process::Command::new("diff");
    diff.args(["--unified", "--new-file", "--label", "committed", "--label", "routers"]);
    let output = shell::capture_any(diff.arg(committed).arg(&fresh))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut shown: Vec<&str> = text.lines().take(SHOWN_DIFFERENCES).collect();
    if text.lines().count() > SHOWN_DIFFERENCES {
        shown.push("…");
    }
    Ok(shown.join("\n"))
}
