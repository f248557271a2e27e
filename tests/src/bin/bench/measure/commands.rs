//! Commands: how soon they end, how soon a line arrives.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use http_body_util::BodyExt as _;

use super::lifecycle::timed_gets;
use super::{WARM_UP, millis};
use crate::sandbox::Bench;

/// Connections in the rows about commands a second.
const PARALLEL: usize = 64;

const ARGV: &str = r#"{"argv":["true"]}"#;
const BASH: &str = r#"{"command":"true"}"#;

/// Prints the monotonic clock, line by line, slowly enough that each line travels alone.
const CLOCK: &str = r#"{"argv":["python3","-c","import os,time\nfor _ in range(230):\n time.sleep(0.004)\n os.write(1,b'%d\\n'%time.monotonic_ns())"]}"#;

/// `true` without a shell, from the request to the end of the stream.
pub(crate) async fn argv(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    one_by_one(bench, n, ARGV).await
}

/// `true` through bash.
pub(crate) async fn bash(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    one_by_one(bench, n, BASH).await
}

async fn one_by_one(bench: &Bench, n: usize, command: &'static str) -> Result<Vec<f64>> {
    let mut execd = bench.target().await?.connect().await?;
    let mut samples = Vec::new();
    for round in 0..n + WARM_UP {
        let start = Instant::now();
        let stream = execd.post("/command", command).await?;
        let took = millis(start);
        ensure!(is_complete(&stream), "the command failed: {}", String::from_utf8_lossy(&stream));
        if round >= WARM_UP {
            samples.push(took);
        }
    }
    Ok(samples)
}

/// Commands a second without a shell, many at a time.
pub(crate) async fn argv_64(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    many_at_a_time(bench, n, ARGV).await
}

/// Commands a second through bash.
pub(crate) async fn bash_64(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    many_at_a_time(bench, n, BASH).await
}

async fn many_at_a_time(bench: &Bench, n: usize, command: &'static str) -> Result<Vec<f64>> {
    let target = bench.target().await?;
    let connections = futures_util::future::try_join_all((0..PARALLEL).map(|_| target.connect())).await?;
    let start = Instant::now();
    let work = connections.into_iter().map(async |mut execd| {
        for _ in 0..n / PARALLEL {
            let stream = execd.post("/command", command).await?;
            ensure!(is_complete(&stream), "a command failed: {}", String::from_utf8_lossy(&stream));
        }
        Ok(())
    });
    futures_util::future::try_join_all(work).await?;
    Ok(vec![(n / PARALLEL * PARALLEL) as f64 / start.elapsed().as_secs_f64()])
}

/// From the moment a program prints a line until the client holds it.
pub(crate) async fn line_latency(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    let mut execd = bench.target().await?.connect().await?;
    let mut body = execd.post_open("/command", CLOCK).await?.into_body();
    let mut samples = Vec::new();
    while let Some(frame) = body.frame().await {
        let arrived = monotonic_nanos()?;
        let frame = frame?;
        let text = String::from_utf8_lossy(frame.data_ref().map_or(&[][..], |data| data));
        if let Some(printed) = stamp_in(&text) {
            samples.push((arrived - printed) as f64 / 1e6);
        }
    }
    ensure!(samples.len() >= n, "only {} of the lines arrived alone", samples.len());
    // The first lines pay for the interpreter's start.
    Ok(samples.split_off(samples.len() - n))
}

/// execd's own figures.
pub(crate) async fn metrics(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    timed_gets(&mut bench.target().await?.connect().await?, "/metrics", n).await
}

fn is_complete(stream: &[u8]) -> bool {
    String::from_utf8_lossy(stream).contains("execution_complete")
}

/// The number that a stdout event carries.
fn stamp_in(event: &str) -> Option<i64> {
    let (_, rest) = event.split_once("\"stdout\"")?;
    let (_, text) = rest.split_once("\"text\":\"")?;
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The clock that Python's `time.monotonic_ns` reads; sandboxes share it with the host.
fn monotonic_nanos() -> Result<i64> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec
        .checked_mul(1_000_000_000)
        .and_then(|nanos| nanos.checked_add(now.tv_nsec))
        .context("the clock fits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_found_in_either_order_of_members_after_the_type() {
        assert_eq!(
            stamp_in("data: {\"type\":\"stdout\",\"timestamp\":1,\"text\":\"123\\n\"}\n\n"),
            Some(123)
        );
        assert_eq!(stamp_in("data: {\"type\":\"ping\",\"text\":\"pong\"}\n\n"), None);
    }
}
