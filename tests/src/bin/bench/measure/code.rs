//! Code contexts.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sandkeep_specs::execd::code::CodeContext;

use super::{WARM_UP, millis};
use crate::alone::Execd;
use crate::http::{Connection, full, read};
use crate::sandbox::Bench;

/// Time between contexts in which the next interpreter gets ready.
const PAUSE: Duration = Duration::from_millis(200);

const ONE_PLUS_ONE: &str = r#"{"context":{"language":"python"},"code":"1+1"}"#;

/// A trivial expression, again and again in one context.
pub(crate) async fn repeated(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    let mut execd = bench.target().await?.connect().await?;
    let mut samples = Vec::new();
    for round in 0..n + WARM_UP {
        let start = Instant::now();
        let stream = execd.post("/code", ONE_PLUS_ONE).await?;
        let took = millis(start);
        ensure!(String::from_utf8_lossy(&stream).contains("\"2\""), "the code did not answer");
        if round >= WARM_UP {
            samples.push(took);
        }
    }
    Ok(samples)
}

/// A new context and its first result, from an interpreter that was waiting.
pub(crate) async fn new_context(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    let mut execd = bench.target().await?.connect().await?;
    let mut samples = Vec::new();
    for round in 0..n + WARM_UP {
        tokio::time::sleep(PAUSE).await;
        let start = Instant::now();
        let id = first_result(&mut execd, "python").await?;
        if round >= WARM_UP {
            samples.push(millis(start));
        }
        execd.delete(&format!("/code/contexts/{id}")).await?;
    }
    Ok(samples)
}

/// The same with an interpreter that has to be started, as a multiple of `python3 -c 1`.
pub(crate) async fn cold_to_python(_: &Bench, n: usize) -> Result<Vec<f64>> {
    let execd = Execd::start(&[("EXECD_PRESTART", "off")]).await?;
    let mut connection = execd.connect().await?;
    let mut samples = Vec::new();
    for round in 0..n + WARM_UP {
        let start = Instant::now();
        let id = first_result(&mut connection, "python").await?;
        let context = millis(start);
        connection.delete(&format!("/code/contexts/{id}")).await?;
        let start = Instant::now();
        let mut python = execd.command("python3");
        ensure!(python.args(["-c", "1"]).status().await?.success(), "python3 does not run");
        if round >= WARM_UP {
            samples.push(context / millis(start));
        }
    }
    Ok(samples)
}

/// A second run in a context of Go, with this machine's toolchain.
pub(crate) async fn go_again(_: &Bench, n: usize) -> Result<Vec<f64>> {
    let execd = Execd::start(&[]).await?;
    let mut connection = execd.connect().await?;
    let id = first_result(&mut connection, "go").await?;
    let mut samples = Vec::new();
    for round in 0..n + WARM_UP {
        let start = Instant::now();
        run(&mut connection, &id, "1+1").await?;
        if round >= WARM_UP {
            samples.push(millis(start));
        }
    }
    Ok(samples)
}

async fn first_result(execd: &mut Connection, language: &str) -> Result<String> {
    let body = full(format!(r#"{{"language":"{language}"}}"#));
    let made =
        read(execd.send(hyper::Method::POST, "/code/context", "application/json", body).await?).await?;
    let context: CodeContext = serde_json::from_slice(&made)?;
    let id = context.id.unwrap_or_default();
    run(execd, &id, "1+1").await?;
    Ok(id)
}

async fn run(execd: &mut Connection, id: &str, code: &str) -> Result<()> {
    let run = format!(r#"{{"context":{{"id":"{id}"}},"code":"{code}"}}"#);
    let response = execd.send(hyper::Method::POST, "/code", "application/json", full(run)).await?;
    let stream = read(response).await?;
    ensure!(String::from_utf8_lossy(&stream).contains("\"2\""), "the code did not answer");
    Ok(())
}
