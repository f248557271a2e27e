//! Sandboxes from pools.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sandkeep_specs::lifecycle::{CreateSandboxResponse, PoolResponse};

use super::{WARM_UP, millis};
use crate::http::Connection;
use crate::sandbox::Bench;

/// Members that wait in the pool.
const BUFFER: u64 = 3;
const POLL: Duration = Duration::from_millis(20);
/// Longest wait for a full pool.
const PATIENCE: Duration = Duration::from_secs(60);

const POOL: &str = r#"{"name":"bench","template":{"spec":{"containers":[{"image":"sandkeep/base:latest","env":[{"name":"EXECD_PRESTART","value":"python"}]}]}},"capacitySpec":{"bufferMin":3,"bufferMax":3,"poolMin":0,"poolMax":100}}"#;
const CREATE: &str = r#"{"extensions":{"poolRef":"bench"},"entrypoint":["sleep","infinity"],"env":{"MINE":"1"},"timeout":3600}"#;
const PYTHON: &str = r#"{"context":{"language":"python"},"code":"40+2"}"#;

/// From the create request to its answer: a running sandbox with the caller's program and environment.
pub(crate) async fn create(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    create_then(bench, n, async |_, _| Ok(())).await
}

/// From the create request until Python code has answered.
pub(crate) async fn create_to_python(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    create_then(bench, n, async |api, id| {
        let mut execd = bench.locate(api, id).await?.connect().await?;
        let stream = execd.post("/code", PYTHON).await?;
        ensure!(String::from_utf8_lossy(&stream).contains("42"), "the code did not answer");
        Ok(())
    })
    .await
}

async fn create_then(
    bench: &Bench,
    n: usize,
    then: impl AsyncFn(&mut Connection, &str) -> Result<()>,
) -> Result<Vec<f64>> {
    let mut api = bench.api().await?;
    api.post("/v1/pools", POOL).await?;
    let mut samples = Vec::new();
    for round in 0..n + WARM_UP {
        filled(&mut api).await?;
        let start = Instant::now();
        let made: CreateSandboxResponse = serde_json::from_slice(&api.post("/v1/sandboxes", CREATE).await?)?;
        then(&mut api, &made.id).await?;
        if round >= WARM_UP {
            samples.push(millis(start));
        }
        api.delete(&format!("/v1/sandboxes/{}", made.id)).await?;
    }
    api.delete("/v1/pools/bench").await?;
    Ok(samples)
}

/// Waits until nothing is being started any more, interpreters included.
async fn filled(api: &mut Connection) -> Result<()> {
    let since = Instant::now();
    loop {
        let pool: PoolResponse = serde_json::from_slice(&api.get("/v1/pools/bench").await?)?;
        if pool.status.is_some_and(|status| status.available == BUFFER) {
            tokio::time::sleep(POLL * 15).await;
            return Ok(());
        }
        ensure!(since.elapsed() < PATIENCE, "the pool does not fill");
        tokio::time::sleep(POLL).await;
    }
}
