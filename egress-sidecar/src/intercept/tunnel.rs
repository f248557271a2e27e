//! Bytes that are passed on as they are: other protocols, pinned hosts, and connections that have become WebSockets.

use std::io;

use bytes::BytesMut;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional_with_sizes},
    net::TcpStream,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::guard::Guard;
use crate::vault::redact::{Frames, Stream, TICK};

/// Copied at once.
const CHUNK: usize = 32 << 10;

/// Passes everything on, beginning with what was read already, until both sides have ended.
pub(super) async fn pass<U>(mut client: TcpStream, mut upstream: U, first: &[u8]) -> io::Result<()>
where
    U: AsyncRead + AsyncWrite + Unpin,
{
    upstream.write_all(first).await?;
    copy_bidirectional_with_sizes(&mut client, &mut upstream, CHUNK, CHUNK).await?;
    Ok(())
}

/// Two connections that are about to leave HTTP.
pub(super) struct Tunnel {
    pub(super) client: OnUpgrade,
    pub(super) upstream: OnUpgrade,
    pub(super) frames: Frames,
    /// Overwrites secrets in what comes back.
    pub(super) guard: Option<Guard>,
}

impl Tunnel {
    /// Joins both until they have ended.
    pub(super) async fn join(self) {
        let (client, upstream) = match tokio::try_join!(self.client, self.upstream) {
            Ok(both) => both,
            Err(error) => {
                tracing::debug!(%error, "a connection did not change its protocol");
                return;
            }
        };
        let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
        let ended = match self.guard {
            None => copy_bidirectional_with_sizes(&mut client, &mut upstream, CHUNK, CHUNK).await.map(|_| ()),
            Some(guard) => cleaned(client, upstream, self.frames, guard).await,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection with another protocol ended early");
        }
    }
}

async fn cleaned<C, U>(client: C, upstream: U, frames: Frames, mut guard: Guard) -> io::Result<()>
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
        let mut stream = Stream::new(frames);
        let mut buffer = BytesMut::new();
        let mut ticks = interval_at(Instant::now() + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            buffer.reserve(CHUNK);
            tokio::select! {
                read = from_upstream.read_buf(&mut buffer) => {
                    if read? == 0 {
                        break;
                    }
                    let chunk = buffer.split().freeze();
                    to_client.write_all(&stream.push(chunk, guard.redactions())).await?;
                }
                _ = ticks.tick(), if stream.waiting() > 0 => {
                    to_client.write_all(&stream.tick(guard.redactions())).await?;
                }
            }
            to_client.flush().await?;
        }
        to_client.write_all(&stream.finish(guard.redactions())).await?;
        to_client.shutdown().await
    };
    tokio::try_join!(out, back)?;
    Ok(())
}
