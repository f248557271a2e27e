//! Code contexts.

use std::time::Instant;

use anyhow::{Result, ensure};
use sandkeep_specs::execd::code::CodeContext;

use super::{WARM_UP, millis};
use crate::http::{Connection, full, read};
use crate::sandbox::Bench;

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

/// A new context and its first result.
pub(crate) async fn new_context(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    let mut execd = bench.target().await?.connect().await?;
    let mut samples = Vec::new();
    for round in 0..n + WARM_UP {
        let start = Instant::now();
        let id = first_result(&mut execd).await?;
        if round >= WARM_UP {
            samples.push(millis(start));
        }
        execd.delete(&format!("/code/contexts/{id}")).await?;
    }
    Ok(samples)
}

async fn first_result(execd: &mut Connection) -> Result<String> {
    let made = execd.post("/code/context", r#"{"language":"python"}"#).await?;
    let context: CodeContext = serde_json::from_slice(&made)?;
    let id = context.id.unwrap_or_default();
    let run = format!(r#"{{"context":{{"id":"{id}","language":"python"}},"code":"1+1"}}"#);
    let response = execd.send(hyper::Method::POST, "/code", "application/json", full(run)).await?;
    let stream = read(response).await?;
    ensure!(String::from_utf8_lossy(&stream).contains("\"2\""), "the code did not answer");
    Ok(id)
}
