//! HTTPS in bulk: a server that costs little, and clients that ask as fast as it answers.

use std::convert::Infallible;
use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use bytes::Bytes;
use futures_util::{future, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sandkeep_tests::internet::Netns;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// The host that clients ask for.
pub(crate) const HOST: &str = "www.ok.test";

/// An answer of the rows about requests.
const SMALL: usize = 1024;
/// What a bulky answer is written in.
const PIECE: usize = 64 * 1024;
/// Room for a head, and for one read of a body.
const BUFFER: usize = 64 * 1024;
/// Anything that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which HTTP.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Http {
    One,
    Two,
}

impl Http {
    fn alpn(self) -> Vec<u8> {
        match self {
            Self::One => b"http/1.1".to_vec(),
            Self::Two => b"h2".to_vec(),
        }
    }
}

/// A server on a thread of its own: `/` is 1 KiB, `/close` as well and the last answer, `/bulk/N` is N pieces.
pub(crate) struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(netns: &Netns, addresses: &[SocketAddr], tls: Arc<ServerConfig>) -> Result<Self> {
        let namespace = File::open(netns.path())?;
        let (stop, stopped) = oneshot::channel();
        let (told, ready) = std::sync::mpsc::channel();
        let addresses = addresses.to_vec();
        let thread = thread::spawn(move || {
            let begin = || {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                let runtime = runtime()?;
                let bind = future::try_join_all(addresses.iter().map(TcpListener::bind));
                let listeners = runtime.block_on(bind)?;
                anyhow::Ok((runtime, listeners))
            };
            match begin() {
                Err(error) => drop(told.send(Err(error))),
                Ok((runtime, listeners)) => {
                    drop(told.send(Ok(())));
                    runtime.block_on(async {
                        for listener in listeners {
                            tokio::spawn(accept(listener, TlsAcceptor::from(tls.clone())));
                        }
                        let _ = stopped.await;
                    });
                }
            }
        });
        ready.recv().context("the server's thread has ended")??;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One thread's runtime, for a server or for clients.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

async fn accept(listener: TcpListener, tls: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        let tls = tls.clone();
        tokio::spawn(async move {
            // Clients go away when they have what they want.
            let _ = serve(stream, &tls).await;
        });
    }
}

async fn serve(stream: TcpStream, tls: &TlsAcceptor) -> Result<()> {
    stream.set_nodelay(true)?;
    let stream = tls.accept(stream).await?;
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        let service = service_fn(async |request: Request<Incoming>| Ok::<_, Infallible>(answer(&request)));
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        return Ok(server.serve_connection(TokioIo::new(stream), service).await?);
    }
    serve_one(stream).await
}

/// HTTP/1.1 by hand: what is measured is what stands between, so both ends should cost little.
async fn serve_one(mut stream: server::TlsStream<TcpStream>) -> Result<()> {
    let piece = vec![b'x'; PIECE];
    let small = format!("HTTP/1.1 200 OK\r\nContent-Length: {SMALL}\r\n\r\n{}", "x".repeat(SMALL));
    let last = small.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
    let mut head = Vec::with_capacity(BUFFER);
    loop {
        head.clear();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let path = head.split(|byte| *byte == b' ').nth(1).context("a path")?;
        if let Some(count) = path.strip_prefix(b"/bulk/") {
            let count: usize = std::str::from_utf8(count)?.parse()?;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", count * PIECE);
            stream.write_all(head.as_bytes()).await?;
            for _ in 0..count {
                stream.write_all(&piece).await?;
            }
        } else if path == b"/close" {
            stream.write_all(last.as_bytes()).await?;
            return Ok(stream.shutdown().await?);
        } else {
            stream.write_all(small.as_bytes()).await?;
        }
        stream.flush().await?;
    }
}

fn answer(request: &Request<Incoming>) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let count = request.uri().path().strip_prefix("/bulk/").and_then(|count| count.parse().ok());
    Response::new(match count {
        None => Full::new(Bytes::from_static(&[b'x'; SMALL])).boxed_unsync(),
        Some(count) => {
            let pieces = std::iter::repeat_n(Bytes::from_static(&[b'x'; PIECE]), count);
            StreamBody::new(stream::iter(pieces.map(|piece| Ok(Frame::data(piece))))).boxed_unsync()
        }
    })
}

/// Whom to ask, and whom to believe.
#[derive(Clone)]
pub(crate) struct Clients {
    address: SocketAddr,
    http: Http,
    tls: TlsConnector,
}

impl Clients {
    /// `authority` is the certificate, in PEM, that the server's is to be signed with.
    pub(crate) fn new(address: SocketAddr, authority: &str, http: Http) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(authority.as_bytes()).map_err(|error| anyhow!("{error}"))?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![http.alpn()];
        config.resumption = Resumption::disabled();
        Ok(Self { address, http, tls: TlsConnector::from(Arc::new(config)) })
    }

    async fn connect(&self) -> Result<client::TlsStream<TcpStream>> {
        let connect = async {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            self.tls.connect(ServerName::try_from(HOST)?, stream).await.context("no TLS")
        };
        tokio::time::timeout(PATIENCE, connect).await?
    }

    async fn connect_two(&self) -> Result<SendRequest<Empty<Bytes>>> {
        let stream = TokioIo::new(self.connect().await?);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// Small requests a second, over `connections` that stay open; HTTP/2 has `streams` requests under way on each.
    pub(crate) async fn rate(&self, connections: usize, streams: usize, time: Duration) -> Result<f64> {
        let mut tasks = Vec::new();
        match self.http {
            Http::One => {
                for _ in 0..connections {
                    let stream = self.connect().await?;
                    tasks.push(tokio::spawn(ask_one(stream, time)));
                }
            }
            Http::Two => {
                for _ in 0..connections {
                    let sender = self.connect_two().await?;
                    let ask = |_| tokio::spawn(ask_two(sender.clone(), time));
                    tasks.extend((0..streams).map(ask));
                }
            }
        }
        let (begun, mut answered) = (Instant::now(), 0);
        for task in tasks {
            answered += task.await??;
        }
        Ok(f64::from(answered) / begun.elapsed().as_secs_f64())
    }

    /// Megabytes a second of one answer of so many pieces.
    pub(crate) async fn bulk(&self, pieces: usize) -> Result<f64> {
        let path = format!("/bulk/{pieces}");
        let size = pieces * PIECE;
        let begun = match self.http {
            Http::One => {
                let mut stream = self.connect().await?;
                let begun = Instant::now();
                fetch(&mut stream, &path, size, &mut vec![0; BUFFER]).await?;
                begun
            }
            Http::Two => {
                let mut sender = self.connect_two().await?;
                let begun = Instant::now();
                ensure!(fetch_two(&mut sender, &path).await? == size, "an answer is not whole");
                begun
            }
        };
        Ok(size as f64 / 1e6 / begun.elapsed().as_secs_f64())
    }

    /// Seconds from nothing to a small answer over HTTP/1.1.
    pub(crate) async fn first_answer(&self, path: &str) -> Result<f64> {
        let begun = Instant::now();
        let mut stream = self.connect().await?;
        fetch(&mut stream, path, SMALL, &mut vec![0; BUFFER]).await?;
        let elapsed = begun.elapsed().as_secs_f64();
        stream.shutdown().await?;
        Ok(elapsed)
    }
}

async fn ask_one(mut stream: client::TlsStream<TcpStream>, time: Duration) -> Result<u32> {
    let (begun, mut count) = (Instant::now(), 0);
    let mut buffer = vec![0; BUFFER];
    while begun.elapsed() < time {
        fetch(&mut stream, "/", SMALL, &mut buffer).await?;
        count += 1;
    }
    Ok(count)
}

async fn ask_two(mut sender: SendRequest<Empty<Bytes>>, time: Duration) -> Result<u32> {
    let (begun, mut count) = (Instant::now(), 0);
    while begun.elapsed() < time {
        ensure!(fetch_two(&mut sender, "/").await? == SMALL, "an answer is not whole");
        count += 1;
    }
    Ok(count)
}

/// One request over HTTP/1.1, whose body must have this size.
async fn fetch(
    stream: &mut client::TlsStream<TcpStream>,
    path: &str,
    size: usize,
    buffer: &mut [u8],
) -> Result<()> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut filled = 0;
    let body = loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        ensure!(read > 0, "the connection was closed");
        filled += read;
        if let Some(end) = buffer[..filled].windows(4).position(|end| end == b"\r\n\r\n") {
            break filled - end - 4;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..filled.min(SMALL)]);
    ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut left = size.checked_sub(body).context("more than was asked for")?;
    while left > 0 {
        let room = left.min(buffer.len());
        let read = stream.read(&mut buffer[..room]).await?;
        ensure!(read > 0, "the connection was closed");
        left -= read;
    }
    Ok(())
}

/// One request over HTTP/2; the size of its answer.
async fn fetch_two(sender: &mut SendRequest<Empty<Bytes>>, path: &str) -> Result<usize> {
    sender.ready().await?;
    let request = Request::get(format!("https://{HOST}{path}")).body(Empty::new())?;
    let response = sender.send_request(request).await?;
    ensure!(response.status().is_success(), "{}", response.status());
    let (mut body, mut size) = (response.into_body(), 0);
    while let Some(frame) = body.frame().await {
        size += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(size)
}
