//! Creating, finding and removing sandboxes.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::{WARM_UP, millis};
use crate::http::Connection;
use crate::sandbox::{Bench, CREATE, Target};

/// Creates at a time in the row about creates per minute.
const PARALLEL: usize = 8;

const CREATE_WITH_POLICY: &str = r#"{"image":{"uri":"sandkeep/base:latest"},"entrypoint":["sleep","infinity"],"resourceLimits":{},"timeout":3600,"networkPolicy":{"defaultAction":"deny","egress":[{"action":"allow","target":"*.example.com"}]}}"#;
const CREATE_WITH_CREDENTIALS: &str = r#"{"image":{"uri":"sandkeep/base:latest"},"entrypoint":["sleep","infinity"],"resourceLimits":{},"timeout":3600,"networkPolicy":{"defaultAction":"deny","egress":[{"action":"allow","target":"*.example.com"}]},"credentialProxy":{"enabled":true}}"#;

/// From the create request until execd answers.
pub(crate) async fn create(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    create_as(bench, n, CREATE).await
}

/// The same of a sandbox whose connections are judged.
pub(crate) async fn create_with_policy(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    create_as(bench, n, CREATE_WITH_POLICY).await
}

/// The same of one whose connections are read on their way, too.
pub(crate) async fn create_with_credentials(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    create_as(bench, n, CREATE_WITH_CREDENTIALS).await
}

async fn create_as(bench: &Bench, n: usize, body: &'static str) -> Result<Vec<f64>> {
    create_then(bench, n, body, async |mut execd| execd.get("/ping").await.map(drop)).await
}

/// From the create request until Python code has answered.
pub(crate) async fn create_to_python(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    create_then(bench, n, CREATE, async |mut execd| {
        let code = r#"{"context":{"language":"python"},"code":"40+2"}"#;
        let stream = execd.post("/code", code).await?;
        ensure!(String::from_utf8_lossy(&stream).contains("42"), "the code did not answer");
        Ok(())
    })
    .await
}

async fn create_then(
    bench: &Bench,
    n: usize,
    body: &'static str,
    then: impl AsyncFn(Connection) -> Result<()>,
) -> Result<Vec<f64>> {
    let mut api = bench.api().await?;
    let mut samples = Vec::new();
    for round in 0..n + WARM_UP {
        let start = Instant::now();
        let id = bench.create_from(&mut api, body).await?;
        let target = bench.locate(&mut api, &id).await?;
        then(target.connect().await?).await?;
        if round >= WARM_UP {
            samples.push(millis(start));
        }
        remove(&mut api, &id).await?;
    }
    Ok(samples)
}

/// The same beside a thousand others.
pub(crate) async fn create_among_1000(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    bench.multitude().await?;
    create(bench, n).await
}

/// Until a DELETE is answered.
pub(crate) async fn delete(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    let mut api = bench.api().await?;
    let mut samples = Vec::new();
    for _ in 0..n {
        let id = bench.create(&mut api).await?;
        let start = Instant::now();
        remove(&mut api, &id).await?;
        samples.push(millis(start));
    }
    Ok(samples)
}

/// Creates a minute, several at a time, each until execd answers and then deleted.
pub(crate) async fn churn(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    let one_by_one = async || {
        let mut api = bench.api().await?;
        for _ in 0..n / PARALLEL {
            let id = bench.create(&mut api).await?;
            let target = bench.locate(&mut api, &id).await?;
            target.connect().await?.get("/ping").await?;
            remove(&mut api, &id).await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let start = Instant::now();
    futures_util::future::try_join_all((0..PARALLEL).map(|_| one_by_one())).await?;
    let created = (n / PARALLEL * PARALLEL) as f64;
    Ok(vec![created / start.elapsed().as_secs_f64() * 60.0])
}

/// GET of one sandbox.
pub(crate) async fn get_one(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    let target = bench.target().await?;
    timed_gets(&mut bench.api().await?, &format!("/v1/sandboxes/{}", target.id), n).await
}

/// The same beside a thousand others.
pub(crate) async fn get_one_among_1000(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    bench.multitude().await?;
    get_one(bench, n).await
}

/// A page of forty-eight.
pub(crate) async fn list(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    bench.crowd().await?;
    timed_gets(&mut bench.api().await?, "/v1/sandboxes?pageSize=48", n).await
}

/// execd's `/ping` through the server.
pub(crate) async fn ping_proxied(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    let target: &Target = bench.target().await?;
    timed_gets(&mut bench.api().await?, &target.proxied("/ping"), n).await
}

pub(super) async fn timed_gets(connection: &mut Connection, path: &str, n: usize) -> Result<Vec<f64>> {
    let mut samples = Vec::new();
    for round in 0..n + WARM_UP {
        let start = Instant::now();
        connection.get(path).await?;
        if round >= WARM_UP {
            samples.push(millis(start));
        }
    }
    Ok(samples)
}

async fn remove(api: &mut Connection, id: &str) -> Result<()> {
    api.delete(&format!("/v1/sandboxes/{id}")).await.map(drop)
}
