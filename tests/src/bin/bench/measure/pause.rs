//! Pausing, stopping, and coming back from both.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use hyper::header::HeaderMap;

use super::{WARM_UP, millis};
use crate::http::Connection;
use crate::sandbox::Bench;

/// A sandbox with a Python HTTP server, which any use wakes.
const SERVER: &str = r#"{"image":{"uri":"sandkeep/base:latest"},"entrypoint":["python3","-m","http.server","8000","--directory","/opt"],"resourceLimits":{},"timeout":3600,"extensions":{"access.autoresume":"true"}}"#;
/// The same with 256 MiB of memory in use.
const LARGE: &str = r#"{"image":{"uri":"sandkeep/base:latest"},"entrypoint":["python3","-c","import http.server as h, os\nkept = bytearray(os.urandom(1 << 20) * 256)\nos.chdir('/opt')\nh.ThreadingHTTPServer(('', 8000), h.SimpleHTTPRequestHandler).serve_forever()"],"resourceLimits":{"memory":"1Gi"},"timeout":3600}"#;
const PORT: u16 = 8000;
/// Connections tried while the server inside comes up.
const ATTEMPTS: usize = 2000;

struct Site {
    api: Connection,
    id: String,
    address: SocketAddr,
}

impl Site {
    async fn new(bench: &Bench, body: &'static str) -> Result<Self> {
        let mut api = bench.api().await?;
        let id = bench.create_from(&mut api, body).await?;
        let address = SocketAddr::new(bench.locate(&mut api, &id).await?.address.ip(), PORT);
        let site = Self { api, id, address };
        site.wait().await?;
        Ok(site)
    }

    async fn post(&mut self, what: &str) -> Result<()> {
        self.api.post(&format!("/v1/sandboxes/{}/{what}", self.id), "{}").await.map(drop)
    }

    /// Stop or start with memory, and nothing less.
    async fn post_with_memory(&mut self, what: &str) -> Result<()> {
        let path = format!("/v1/sandboxes/{}/{what}", self.id);
        let answer = self.api.post(&path, r#"{"memory":true}"#).await?;
        let answer: serde_json::Value = serde_json::from_slice(&answer)?;
        ensure!(answer["memory"] == true, "no memory was kept: {answer}");
        Ok(())
    }

    /// A request to the Python server, on a connection of its own.
    async fn ask(&self) -> Result<()> {
        Connection::open(self.address, &HeaderMap::new()).await?.get("/").await.map(drop)
    }

    async fn wait(&self) -> Result<()> {
        for _ in 0..ATTEMPTS {
            if self.ask().await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        bail!("the Python server never answered")
    }

    async fn end(mut self) -> Result<()> {
        self.api.delete(&format!("/v1/sandboxes/{}", self.id)).await.map(drop)
    }
}

/// From the pause request until everything is frozen and said so.
pub(crate) async fn pause(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    rounds(bench, n, async |site| {
        let start = Instant::now();
        site.post("pause").await?;
        let taken = millis(start);
        site.post("resume").await?;
        Ok(taken)
    })
    .await
}

/// From the resume request until the Python server has answered.
pub(crate) async fn resume_to_http(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    rounds(bench, n, async |site| {
        site.post("pause").await?;
        let start = Instant::now();
        site.post("resume").await?;
        site.ask().await?;
        Ok(millis(start))
    })
    .await
}

/// A request through the server to a paused sandbox.
pub(crate) async fn wake_proxied(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    rounds(bench, n, async |site| {
        site.post("pause").await?;
        let start = Instant::now();
        site.api.get(&format!("/v1/sandboxes/{}/proxy/{PORT}/", site.id)).await?;
        Ok(millis(start))
    })
    .await
}

/// A request straight to a paused sandbox.
pub(crate) async fn wake_direct(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    rounds(bench, n, async |site| {
        site.post("pause").await?;
        let start = Instant::now();
        site.ask().await?;
        Ok(millis(start))
    })
    .await
}

/// A stop that keeps files.
pub(crate) async fn stop(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    rounds(bench, n, async |site| {
        let start = Instant::now();
        site.post("stop").await?;
        let taken = millis(start);
        site.post("start").await?;
        Ok(taken)
    })
    .await
}

/// From the start request of a stopped sandbox until execd has answered.
pub(crate) async fn start_to_ping(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    rounds(bench, n, async |site| {
        site.post("stop").await?;
        let start = Instant::now();
        site.post("start").await?;
        let id = site.id.clone();
        let target = bench.locate(&mut site.api, &id).await?;
        target.connect().await?.get("/ping").await.context("execd after a start")?;
        Ok(millis(start))
    })
    .await
}

/// A stop that keeps the memory of a small program too.
pub(crate) async fn stop_with_memory(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    rounds(bench, n, async |site| {
        let start = Instant::now();
        site.post_with_memory("stop").await?;
        let taken = millis(start);
        site.post_with_memory("start").await?;
        Ok(taken)
    })
    .await
}

/// From the request to start from memory until the program has answered.
pub(crate) async fn start_with_memory(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    rounds(bench, n, start_from_memory).await
}

/// The same for a program with 256 MiB.
pub(crate) async fn start_with_much_memory(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    rounds_of(bench, LARGE, n, start_from_memory).await
}

async fn start_from_memory(site: &mut Site) -> Result<f64> {
    site.post_with_memory("stop").await?;
    let start = Instant::now();
    site.post_with_memory("start").await?;
    site.ask().await?;
    Ok(millis(start))
}

async fn rounds(bench: &Bench, n: usize, round: impl AsyncFn(&mut Site) -> Result<f64>) -> Result<Vec<f64>> {
    rounds_of(bench, SERVER, n, round).await
}

async fn rounds_of(
    bench: &Bench,
    body: &'static str,
    n: usize,
    round: impl AsyncFn(&mut Site) -> Result<f64>,
) -> Result<Vec<f64>> {
    let mut site = Site::new(bench, body).await?;
    let mut samples = Vec::new();
    for number in 0..n + WARM_UP {
        let taken = round(&mut site).await?;
        if number >= WARM_UP {
            samples.push(taken);
        }
    }
    site.end().await?;
    Ok(samples)
}
