//! Many bytes: output, uploads, downloads.

use std::time::Instant;

use anyhow::{Result, ensure};
use bytes::Bytes;
use hyper::Method;

use super::memory::{SETTLE, peak_resident, reset_peak, sandbox_init};
use crate::http::{Connection, count, read, streamed};
use crate::sandbox::Bench;

/// Bytes of output in the rows about lines.
const OUTPUT: u64 = 100_000_000;

/// Bytes of a file in the rows about files.
const FILE: usize = 256 * 1024 * 1024;

/// Bytes handed to the socket at a time.
const PIECE: usize = 1024 * 1024;

/// Makes the file whose lines are then printed: printing is measured, making them is not.
const MAKE_LINES: &str = r#"{"command":"test -s /tmp/lines || { yes 'a line of output as programs print it, neither long nor very short, again and again' | head -c 100000000 >/tmp/lines; }"}"#;
const PRINT_LINES: &str = r#"{"argv":["cat","/tmp/lines"]}"#;

const BOUNDARY: &str = "bench-boundary-7f9c2a";
const UPLOADED: &str = "/tmp/upload";

/// Lines through execd's stream.
pub(crate) async fn lines_direct(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    let mut execd = bench.target().await?.connect().await?;
    execd.post("/command", MAKE_LINES).await?;
    lines(&mut execd, "/command", n).await
}

/// Lines through the server's proxy.
pub(crate) async fn lines_proxied(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    let target = bench.target().await?;
    target.connect().await?.post("/command", MAKE_LINES).await?;
    lines(&mut bench.api().await?, &target.proxied("/command"), n).await
}

async fn lines(connection: &mut Connection, path: &str, n: usize) -> Result<Vec<f64>> {
    let mut samples = Vec::new();
    for _ in 0..n {
        let start = Instant::now();
        let bytes = count(connection.post_open(path, PRINT_LINES).await?).await?;
        ensure!(bytes > OUTPUT, "only {bytes} bytes arrived");
        samples.push(bytes as f64 / 1e6 / start.elapsed().as_secs_f64());
    }
    Ok(samples)
}

/// A file into the sandbox.
pub(crate) async fn upload(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    let mut execd = bench.target().await?.connect().await?;
    let mut samples = Vec::new();
    for _ in 0..n {
        samples.push(upload_once(&mut execd).await?);
    }
    Ok(samples)
}

async fn upload_once(execd: &mut Connection) -> Result<f64> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"metadata\"; filename=\"metadata\"\r\n\
         Content-Type: application/json\r\n\r\n{{\"path\":\"{UPLOADED}\"}}\r\n\
         --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"upload\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let tail = format!("\r\n--{BOUNDARY}--\r\n");
    let piece = Bytes::from((0..PIECE).map(|index| (index * 31 % 253) as u8).collect::<Vec<_>>());
    let pieces = std::iter::repeat_n(piece, FILE / PIECE);
    let all = std::iter::once(Bytes::from(head)).chain(pieces).chain([Bytes::from(tail)]);
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");

    let start = Instant::now();
    let body = streamed(futures_util::stream::iter(all));
    read(execd.send(Method::POST, "/files/upload", &kind, body).await?).await?;
    Ok(FILE as f64 / 1e6 / start.elapsed().as_secs_f64())
}

/// What an idle execd's memory grows to while a file comes in. Other rows' sandbox also remembers thousands of commands.
pub(crate) async fn upload_memory(bench: &Bench, _: usize) -> Result<Vec<f64>> {
    let mut api = bench.api().await?;
    let id = bench.create(&mut api).await?;
    let target = bench.locate(&mut api, &id).await?;
    target.connect().await?.get("/ping").await?;
    tokio::time::sleep(SETTLE).await;
    let pid = sandbox_init(&id)?;
    reset_peak(pid)?;
    upload_once(&mut target.connect().await?).await?;
    let peak = peak_resident(pid)?;
    api.delete(&format!("/v1/sandboxes/{id}")).await?;
    Ok(vec![peak])
}

/// A file out of the sandbox.
pub(crate) async fn download(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    let mut execd = bench.target().await?.connect().await?;
    upload_once(&mut execd).await?;
    let mut samples = Vec::new();
    for _ in 0..n {
        let start = Instant::now();
        let path = format!("/files/download?path={UPLOADED}");
        let response = execd.send(Method::GET, &path, "", crate::http::empty()).await?;
        let bytes = count(response).await?;
        ensure!(bytes == FILE as u64, "{bytes} bytes arrived");
        samples.push(bytes as f64 / 1e6 / start.elapsed().as_secs_f64());
    }
    Ok(samples)
}
