//! TCP connections into a sandbox, through the server.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Sink as _, Stream as _};
use reqwest::Upgraded;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

/// Largest message the server takes or sends.
const MAX_MESSAGE: usize = 1 << 20;
/// Bytes put into one message at most.
const CHUNK: usize = 64 * 1024;

/// A TCP connection to a port of a sandbox. Reading and writing are independent: shutting down the writing side says
/// that no more is sent, and what the sandbox still sends can be read to its end. Dropping it breaks the connection.
#[derive(Debug)]
pub struct Tunnel {
    socket: WebSocketStream<Upgraded>,
    /// What of the last message has not been read yet.
    unread: Bytes,
    read_ended: bool,
    write_ended: bool,
}

impl Tunnel {
    pub(crate) async fn new(upgraded: Upgraded) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE))
            .write_buffer_size(0);
        let socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await;
        Self { socket, unread: Bytes::new(), read_ended: false, write_ended: false }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.unread.is_empty() {
                let count = self.unread.len().min(buffer.remaining());
                buffer.put_slice(&self.unread.split_to(count));
                return Poll::Ready(Ok(()));
            }
            if self.read_ended {
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => {
                    self.read_ended = bytes.is_empty();
                    self.unread = bytes;
                }
                Some(Ok(Message::Close(frame))) => {
                    let broken = frame.filter(|frame| frame.code != CloseCode::Normal);
                    let reason = broken.map_or_else(String::new, |frame| frame.reason.to_string());
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, reason)));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(failed(error))),
                None => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            }
        }
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.write_ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        // An empty message would end the direction.
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(Pin::new(&mut self.socket).poll_ready(context)).map_err(failed)?;
        let count = bytes.len().min(CHUNK);
        let message = Message::Binary(Bytes::copy_from_slice(&bytes[..count]));
        Pin::new(&mut self.socket).start_send(message).map_err(failed)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context).map_err(failed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.write_ended {
            ready!(Pin::new(&mut self.socket).poll_ready(context)).map_err(failed)?;
            Pin::new(&mut self.socket).start_send(Message::Binary(Bytes::new())).map_err(failed)?;
            self.write_ended = true;
        }
        self.poll_flush(context)
    }
}

fn failed(error: SocketError) -> io::Error {
    match error {
        SocketError::Io(error) => error,
        SocketError::ConnectionClosed | SocketError::AlreadyClosed => io::ErrorKind::ConnectionReset.into(),
        other => io::Error::other(other),
    }
}
