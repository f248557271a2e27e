//! Bytes that are passed on as they are: other protocols, pinned hosts, and connections that have become WebSockets.

use std::{io, sync::Arc};

use bytes::BytesMut;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional_with_sizes},
    net::TcpStream,
    time::timeout,
};

use super::body::redactions;
use crate::vault::{redact::Stream, store::Store};

/// Copied at once.
const CHUNK: usize = 32 << 10;

/// Passes everything on, beginning with what was read already, until both sides have ended.
pub(super) async fn pass(mut client: TcpStream, mut upstream: TcpStream, first: &[u8]) -> io::Result<()> {
    upstream.write_all(first).await?;
    copy_bidirectional_with_sizes(&mut client, &mut upstream, CHUNK, CHUNK).await?;
    Ok(())
}

/// Joins two connections that have left HTTP. With a vault, secrets are overwritten in what comes back.
pub(super) async fn join(client: OnUpgrade, upstream: OnUpgrade, vault: Option<Arc<Store>>) {
    let (client, upstream) = match tokio::try_join!(client, upstream) {
        Ok(both) => both,
        Err(error) => {
            tracing::debug!(%error, "a connection did not change its protocol");
            return;
        }
    };
    let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
    let ended = match vault {
        None => copy_bidirectional_with_sizes(&mut client, &mut upstream, CHUNK, CHUNK).await.map(|_| ()),
        Some(vault) => cleaned(client, upstream, &vault).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection with another protocol ended early");
    }
}

async fn cleaned<C, U>(client: C, upstream: U, vault: &Store) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite,
    U: AsyncRead + AsyncWrite,
{
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_upstream, mut to_upstream) = tokio::io::split(upstream);
    let out = async {
        tokio::io::copy(&mut from_client, &mut to_upstream).await?;
        to_upstream.shutdown().await
    };
    let back = async {
        let mut stream = Stream::default();
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(CHUNK);
            let read = from_upstream.read_buf(&mut buffer);
            let count = match stream.patience() {
                None => read.await?,
                Some(patience) => match timeout(patience, read).await {
                    Ok(count) => count?,
                    Err(_) => {
                        to_client.write_all(&stream.flush()).await?;
                        continue;
                    }
                },
            };
            let chunk = buffer.split().freeze();
            match redactions(vault) {
                _ if count == 0 => break,
                Some(redactions) => to_client.write_all(&stream.push(chunk, &redactions)).await?,
                None => {
                    to_client.write_all(&stream.flush()).await?;
                    to_client.write_all(&chunk).await?;
                }
            }
            to_client.flush().await?;
        }
        to_client.write_all(&stream.flush()).await?;
        to_client.shutdown().await
    };
    tokio::try_join!(out, back)?;
    Ok(())
}
