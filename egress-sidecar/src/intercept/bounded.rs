//! A connection that is read only as long as there is memory for what it brings.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::memory;

/// Most that all connections together may hold: half of what a sandbox's sidecar is given, as heaps take more than what is
/// in use, and names, rules and the API need their share.
const MOST: usize = 96 << 20;
/// New connections wait from here on, so that those there are can grow.
const CROWDED: usize = 64 << 20;

/// Fails once connections hold all that they may.
pub(super) fn room() -> io::Result<()> {
    if memory::held() < MOST {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::OutOfMemory, "connections hold all the memory that they may"))
}

/// Whether new connections had better wait.
pub(super) fn is_crowded() -> bool {
    memory::held() >= CROWDED
}

/// A connection that ends when it brings something and there is no room. Whoever made others hold too much loses those
/// that want still more; what is there can be sent, which makes room.
#[derive(Debug)]
pub(super) struct Bounded<S = TcpStream>(pub(super) S);

impl<S: AsFd> AsFd for Bounded<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(cx, buffer))?;
        // One that is silent costs nothing more.
        Poll::Ready(if buffer.filled().len() > before { room() } else { Ok(()) })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
