use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::image;

/// Where even a registry without an end gives up: a reader that takes everything must not take the machine's memory.
const MOST: u64 = 256 << 20;
static PIECE: [u8; 64 << 10] = [b' '; 64 << 10];
/// What is said of the configuration that never ends.
const CONFIG_SIZE: u64 = 1 << 20;

/// What has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endless {
    Manifest,
    Config,
    /// The text of an error.
    Error,
    Token,
    /// Why there is no token.
    TokenError,
}

/// A registry with something without an end, and how much of it was taken.
pub struct EndlessRegistry {
    port: u16,
    taken: Arc<AtomicU64>,
    accept: JoinHandle<()>,
}

impl Drop for EndlessRegistry {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

impl EndlessRegistry {
    pub async fn start(endless: Endless) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let taken = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&taken);
        let accept = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                // An error is the end of this connection, as it is meant to be.
                tokio::spawn(async move { answer(client, endless, port, &count).await.ok() });
            }
        });
        Ok(Self { port, taken, accept })
    }

    pub fn name(&self, rest: &str) -> String {
        format!("127.0.0.1:{}/{rest}", self.port)
    }

    /// Bytes without end that were sent since the last look.
    pub fn take_taken(&self) -> u64 {
        self.taken.swap(0, Ordering::SeqCst)
    }
}

/// One request, whose answer ends with the connection.
async fn answer(client: TcpStream, endless: Endless, port: u16, taken: &AtomicU64) -> Result<()> {
    let mut client = BufReader::new(client);
    let mut first = String::new();
    client.read_line(&mut first).await?;
    let mut line = first.clone();
    while !line.trim().is_empty() {
        line.clear();
        client.read_line(&mut line).await?;
    }
    let path = first.split(' ').nth(1).context("a request has a path")?;
    let (head, is_endless) = match (endless, path) {
        (Endless::Token | Endless::TokenError, "/v2/") => {
            let realm = format!("http://127.0.0.1:{port}/token");
            (format!("401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"{realm}\",service=\"x\""), false)
        }
        (_, "/v2/") => ("200 OK".to_owned(), false),
        (Endless::Error, _) => ("500 Internal Server Error".to_owned(), true),
        (Endless::TokenError, _) => ("403 Forbidden".to_owned(), true),
        (Endless::Config, path) => ("200 OK".to_owned(), path.contains("/blobs/")),
        (Endless::Manifest | Endless::Token, _) => ("200 OK".to_owned(), true),
    };
    client.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    if !is_endless {
        let config = json!({"mediaType": image::CONFIG, "digest": image::digest(b""), "size": CONFIG_SIZE});
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": []}).to_string();
        return Ok(client.write_all(manifest.as_bytes()).await?);
    }
    let mut sent = 0;
    while sent < MOST {
        client.write_all(&PIECE).await?;
        sent += PIECE.len() as u64;
        taken.fetch_add(PIECE.len() as u64, Ordering::SeqCst);
    }
    Ok(())
}
