//! A TCP connection into a sandbox, carried by a WebSocket.
//!
//! Binary messages are the bytes, in order and without further meaning to their bounds. An empty one says that its
//! sender sends no more; the other direction goes on. Whoever does not take what was sent to him holds the other side
//! back, not this server.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt, stream::SplitSink};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Largest message either way.
pub const MAX_MESSAGE: usize = 1 << 20;
/// Bytes taken from the sandbox at once.
const CHUNK: usize = 64 * 1024;
/// Keeps what lies between from taking a silent tunnel for a dead one.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long saying goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How a tunnel ended.
enum End {
    /// Both sides sent all they had.
    Complete,
    /// The caller is gone.
    CallerGone,
    /// The sandbox broke the connection.
    Broken(String),
    /// The caller sent what has no place here.
    Misuse(u16, &'static str),
}

/// Carries bytes both ways until both have ended or one side is gone.
pub async fn carry(socket: WebSocket, stream: TcpStream) {
    let (mut sink, mut source) = socket.split();
    let (reader, writer) = stream.into_split();
    let caller_ended = CancellationToken::new();
    let end = tokio::select! {
        end = inward(&mut source, writer, &caller_ended) => end,
        end = outward(&mut sink, reader, &caller_ended) => end,
    };
    let (code, reason) = match end {
        End::CallerGone => return,
        End::Complete => (close_code::NORMAL, String::new()),
        End::Broken(cause) => (close_code::ERROR, cause),
        End::Misuse(code, reason) => (code, reason.to_owned()),
    };
    let farewell = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    // The caller may be gone by now.
    let _ = timeout(CLOSE_TIMEOUT, async {
        if sink.send(farewell).await.is_ok() {
            // Closing while something of his is unread, were it an answer to a ping, would reset the connection and take
            // away what he has not read yet.
            while let Some(Ok(_)) = source.next().await {}
        }
    })
    .await;
}

/// From the caller into the sandbox.
async fn inward(
    source: &mut (impl StreamExt<Item = Result<Message, axum::Error>> + Unpin),
    mut writer: OwnedWriteHalf,
    ended: &CancellationToken,
) -> End {
    while let Some(message) = source.next().await {
        match message {
            Ok(Message::Binary(bytes)) if ended.is_cancelled() && !bytes.is_empty() => {
                return End::Misuse(close_code::PROTOCOL, "bytes after the end");
            }
            Ok(Message::Binary(bytes)) if bytes.is_empty() => {
                // A sandbox that has closed its side already needs no telling.
                let _ = writer.shutdown().await;
                ended.cancel();
            }
            Ok(Message::Binary(bytes)) => {
                if let Err(error) = writer.write_all(&bytes).await {
                    return End::Broken(error.to_string());
                }
            }
            Ok(Message::Text(_)) => return End::Misuse(close_code::UNSUPPORTED, "only binary messages"),
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            Ok(Message::Close(_)) | Err(_) => return End::CallerGone,
        }
    }
    End::CallerGone
}

/// From the sandbox to the caller.
async fn outward(
    sink: &mut SplitSink<WebSocket, Message>,
    mut reader: OwnedReadHalf,
    caller_ended: &CancellationToken,
) -> End {
    let mut ping = tokio::time::interval(PING_INTERVAL);
    let mut buffer = BytesMut::new();
    let mut ended = false;
    loop {
        buffer.reserve(CHUNK);
        let message = tokio::select! {
            read = reader.read_buf(&mut buffer), if !ended => match read {
                Ok(count) => {
                    ended = count == 0;
                    Message::Binary(buffer.split().freeze())
                }
                Err(error) => return End::Broken(error.to_string()),
            },
            () = caller_ended.cancelled(), if ended => return End::Complete,
            _ = ping.tick() => Message::Ping(Bytes::new()),
        };
        if sink.send(message).await.is_err() {
            return End::CallerGone;
        }
    }
}
