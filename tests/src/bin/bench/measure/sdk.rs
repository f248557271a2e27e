//! What the SDKs take longer than bare requests over a connection that stays open. Both take turns, and a sample is the
//! difference of two neighbours: whatever else the machine does meets both alike.

use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use sandkeep_specs::lifecycle::Sandbox;
use sandkeep_tests::{node, paths, python};
use tokio::process::Command;

use super::millis;
use crate::sandbox::Bench;

/// Unmeasured turns before the first sample.
const WARM_UP: usize = 50;
/// What the Python SDK needs.
const PYTHON_PACKAGES: [&str; 2] = ["httpx==0.28.1", "websockets==17.4"];

pub(crate) async fn rust(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    let id = &bench.target().await?.id;
    let path = format!("/v1/sandboxes/{id}");
    let mut bare = bench.api().await?;
    let client = sandkeep::Client::new(bench.server().url(), &bench.server().key)?;
    let mut samples = Vec::new();
    for turn in 0..n + WARM_UP {
        let start = Instant::now();
        let _: Sandbox = serde_json::from_slice(&bare.get(&path).await?)?;
        let without = millis(start);
        let start = Instant::now();
        client.get_sandbox(id).await?;
        let with = millis(start);
        if turn >= WARM_UP {
            samples.push(with - without);
        }
    }
    Ok(samples)
}

pub(crate) async fn python(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    let id = &bench.target().await?.id;
    let bin = tokio::task::spawn_blocking(|| python::installed("venv-bench", &PYTHON_PACKAGES)).await??;
    let mut command = Command::new(bin.join("python"));
    command.arg("-B").arg(paths::script("sdk_overhead.py")).args([id, &n.to_string()]);
    command.env("PYTHONPATH", paths::workspace().join("sdk/python/src"));
    command.env("SANDKEEP_URL", bench.server().url()).env("OPEN_SANDBOX_API_KEY", &bench.server().key);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    numbers(&String::from_utf8(output.stdout)?)
}

pub(crate) async fn typescript(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    let id = &bench.target().await?.id;
    let project = node::Project::make().await?;
    let program = std::fs::read_to_string(paths::workspace().join("tests/node/sdk-overhead.mjs"))?;
    let arguments = ["--input-type=module", "--eval", &program, id, &n.to_string()];
    numbers(&project.run(bench.server(), &arguments).await?)
}

fn numbers(text: &str) -> Result<Vec<f64>> {
    text.lines().map(|line| line.trim().parse().with_context(|| format!("{line:?} is no number"))).collect()
}
