//! The way to an upstream: straight, or through a proxy that opens connections for others.
//!
//! The proxy is told the address the policy has judged, not the name, so that nobody else decides where a name leads. What
//! goes through is encrypted for the upstream, whose certificate is checked as on the straight way.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::{
    Gate,
    connect::{CONNECT_LIMIT, ConnectError, Connector},
};
use crate::config::UpstreamProxy;

/// How long the proxy may take to open a connection, once it is reached.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// Largest head of its answer, with those that come before it.
const MAX_HEAD: usize = 16 << 10;
/// How long its addresses are remembered.
const REMEMBERED: Duration = Duration::from_secs(30);

/// A connection to the outside, before anything is said on it.
#[derive(Debug)]
pub(super) enum Way {
    /// To the upstream, or through a proxy that is spoken to in the clear.
    Straight(TcpStream),
    /// Through a proxy that is spoken to over TLS.
    Secured(Box<TlsStream<TcpStream>>),
}

/// The proxy that everything goes through.
pub(super) struct Through {
    proxy: UpstreamProxy,
    gate: Arc<dyn Gate>,
    found: Mutex<Option<(Instant, Vec<IpAddr>)>>,
}

impl Through {
    pub(super) fn new(proxy: UpstreamProxy, gate: Arc<dyn Gate>) -> Self {
        Self { proxy, gate, found: Mutex::default() }
    }

    /// A connection to this address.
    pub(super) async fn open(&self, connector: &Connector, address: SocketAddr) -> Result<Way, ConnectError> {
        let failed = |reason: String| ConnectError::Proxy { address, reason };
        let late = |_| failed("it does not answer in time".to_owned());
        let reached = timeout(CONNECT_LIMIT, self.reach(connector)).await.map_err(late)?;
        let mut way = reached.map_err(|reason| {
            self.forget();
            failed(reason)
        })?;
        let asked = ask(&mut way, address, self.proxy.authorization.as_deref());
        timeout(ANSWER_LIMIT, asked).await.map_err(late)?.map_err(failed)?;
        Ok(way)
    }

    /// A connection to the proxy itself.
    async fn reach(&self, connector: &Connector) -> Result<Way, String> {
        let at = &self.proxy.at;
        let mut reason = "its name has no address".to_owned();
        for address in self.addresses().await? {
            match connector.straight(SocketAddr::new(address, at.port)).await {
                Ok(stream) if at.secure => {
                    let name = ServerName::try_from(at.host.clone()).map_err(|error| error.to_string())?;
                    let secured = connector.trusting().await.connect(name, stream).await;
                    let secured = secured.map_err(|error| format!("no secure connection to it: {error}"))?;
                    return Ok(Way::Secured(Box::new(secured)));
                }
                Ok(stream) => return Ok(Way::Straight(stream)),
                Err(ConnectError::Unreachable { reason: why, .. }) => reason = why,
                Err(error) => reason = error.to_string(),
            }
        }
        Err(format!("it cannot be reached: {reason}"))
    }

    async fn addresses(&self) -> Result<Vec<IpAddr>, String> {
        let host = &self.proxy.at.host;
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, addresses)) = found.filter(|(since, _)| since.elapsed() < REMEMBERED) {
            return Ok(addresses);
        }
        let addresses = self.gate.find(host.clone()).await;
        let addresses = addresses.map_err(|error| format!("it cannot be looked up: {error}"))?;
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), addresses.clone()));
        Ok(addresses)
    }

    fn forget(&self) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Has the proxy open a connection. What it says of its reasons is not passed on: it may repeat what it was shown.
async fn ask<S>(stream: &mut S, address: SocketAddr, authorization: Option<&str>) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = Zeroizing::new(format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n"));
    if let Some(authorization) = authorization {
        request.push_str("Proxy-Authorization: ");
        request.push_str(authorization);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    let broken = |error: io::Error| format!("it ends the connection: {error}");
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut room = MAX_HEAD;
    loop {
        let head = head(stream, &mut room).await.map_err(broken)?;
        match status(&head) {
            Some(100 | 102..=199) => {}
            Some(200..=299) => return Ok(()),
            Some(407) => return Err("it wants other credentials (407)".to_owned()),
            Some(status) => return Err(format!("it answers {status}")),
            None => return Err("it does not speak HTTP".to_owned()),
        }
    }
}

/// A head and not a byte more: what follows is the upstream's.
async fn head(stream: &mut (impl AsyncRead + Unpin), room: &mut usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if *room == 0 {
            return Err(io::Error::other("its answer is too long"));
        }
        head.push(stream.read_u8().await?);
        *room -= 1;
    }
    Ok(head)
}

fn status(head: &[u8]) -> Option<u16> {
    let (version, rest) = head.split_at_checked(9)?;
    let (digits, end) = rest.split_at_checked(3)?;
    let is_http = version == b"HTTP/1.1 " || version == b"HTTP/1.0 ";
    let is_whole = digits.iter().all(u8::is_ascii_digit) && matches!(end.first(), Some(b' ' | b'\r'));
    (is_http && is_whole).then(|| digits.iter().fold(0, |all, digit| all * 10 + u16::from(digit - b'0')))
}

impl AsFd for Way {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Straight(stream) => stream.as_fd(),
            Self::Secured(stream) => stream.get_ref().0.as_fd(),
        }
    }
}

impl AsyncRead for Way {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Straight(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Secured(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Way {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Straight(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Secured(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Straight(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Secured(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Straight(stream) => stream.is_write_vectored(),
            Self::Secured(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Straight(stream) => Pin::new(stream).poll_flush(cx),
            Self::Secured(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Straight(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Secured(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    async fn told(answer: &[u8]) -> (Result<(), String>, String, Vec<u8>) {
        let (mut ours, mut theirs) = duplex(64 << 10);
        theirs.write_all(answer).await.unwrap();
        let asked = ask(&mut ours, "[2001:db8::1]:443".parse().unwrap(), Some("Basic hush")).await;
        let mut request = vec![0; 1000];
        let count = theirs.read(&mut request).await.unwrap();
        drop(theirs);
        let mut rest = Vec::new();
        ours.read_to_end(&mut rest).await.unwrap();
        (asked, String::from_utf8_lossy(&request[..count]).into_owned(), rest)
    }

    #[tokio::test]
    async fn nothing_of_the_upstream_is_lost() {
        let (asked, request, rest) =
            told(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nX: y\r\n\r\nhello").await;
        assert_eq!((asked, rest.as_slice()), (Ok(()), &b"hello"[..]));
        let expected = "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\
            Proxy-Authorization: Basic hush\r\n\r\n";
        assert_eq!(request, expected);
    }

    #[tokio::test]
    async fn a_refusal_repeats_nothing() {
        for answer in [
            "HTTP/1.1 407 Basic hush\r\nProxy-Authenticate: Basic hush\r\n\r\n",
            "HTTP/1.1 503 hush\r\n\r\n",
            "HTTP/1.1 101 hush\r\n\r\n",
            "SSH-2.0-hush\r\n\r\n",
            "HTTP/1.1 2000 hush\r\n\r\n",
            "hush\r\n\r\n",
        ] {
            let refused = told(answer.as_bytes()).await.0.unwrap_err();
            assert!(!refused.contains("hush"), "{refused}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(MAX_HEAD));
        assert!(told(endless.as_bytes()).await.0.is_err());
    }
}
