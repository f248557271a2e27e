//! Connections into sandboxes that know whether they have been of use already.
//!
//! One that was kept may be closed by the program at the very moment it gets its next request. That says nothing about the
//! request, while a new connection that ends so does.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::http::{Extensions, Response, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::{
        Error,
        connect::{Connected, Connection, HttpConnector},
    },
    rt::TokioIo,
};
use tokio::net::TcpStream;
use tower::{ServiceExt, util::MapResponse};

use super::{
    forward::{KEEPALIVE_INTERVAL, KEEPALIVE_RETRIES, KEEPALIVE_TIME},
    resolver::Resolver,
};

/// Opens connections into sandboxes.
pub(super) type Connector = MapResponse<HttpConnector<Resolver>, fn(TokioIo<TcpStream>) -> Kept>;

pub(super) fn connector(connect_timeout: Duration) -> Connector {
    let mut connector = HttpConnector::new_with_resolver(Resolver);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(connect_timeout));
    connector.set_keepalive(Some(KEEPALIVE_TIME));
    connector.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    connector.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    ServiceExt::<Uri>::map_response(connector, Kept::new as fn(_) -> _)
}

/// Whether a connection has brought an answer.
#[derive(Debug, Clone, Default)]
struct Used(Arc<AtomicBool>);

/// Notes that its connection brought an answer.
pub(super) fn answered<B>(response: &Response<B>) {
    if let Some(Used(used)) = response.extensions().get() {
        used.store(true, Ordering::Relaxed);
    }
}

/// Whether a request failed because a connection that had been of use was closed.
pub(super) fn was_closed(error: &Error) -> bool {
    let mut extras = Extensions::new();
    if let Some(connected) = error.connect_info() {
        connected.get_extras(&mut extras);
    }
    let was_used = extras.get().is_some_and(|Used(used)| used.load(Ordering::Relaxed));
    was_used && is_end(error)
}

fn is_end(error: &Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message) {
            return true;
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted
            );
        }
        cause = error.source();
    }
    false
}

/// One connection.
pub(super) struct Kept {
    stream: TokioIo<TcpStream>,
    used: Used,
}

impl Kept {
    fn new(stream: TokioIo<TcpStream>) -> Self {
        Self { stream, used: Used::default() }
    }
}

impl Connection for Kept {
    fn connected(&self) -> Connected {
        self.stream.connected().extra(self.used.clone())
    }
}

impl Read for Kept {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Kept {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }
}
