//! Web servers of an outside of our own: HTTPS with HTTP/1.1 and HTTP/2, and plain HTTP, under a test's authority.
//!
//! They keep what they were sent, as what a proxy adds on the way is seen nowhere else.

use std::{
    convert::Infallible,
    fs::File,
    io::Write,
    net::SocketAddr,
    os::fd::AsFd,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures_util::{SinkExt, StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Frame, Incoming},
    ext::ReasonPhrase,
    header::{self, HeaderValue},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot},
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

use crate::{internet::Netns, site::Site};

/// What a proxy passes on must not be refused here.
const LONGEST_HEAD: u32 = 1 << 20;

/// A request has arrived by then, also on a slow machine.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(60);

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Signs certificates that nobody else believes.
pub struct TestAuthority {
    issuer: Issuer<'static, KeyPair>,
    /// What believers are given.
    pub pem: String,
}

impl TestAuthority {
    pub fn new(name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    fn sign(&self, names: &[&str], ended: bool) -> Result<(Certificate, KeyPair)> {
        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        if ended {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        Ok((params.signed_by(&key, &self.issuer)?, key))
    }

    /// A certificate for these names and its key, in PEM.
    pub fn pair(&self, names: &[&str]) -> Result<(String, String)> {
        let (certificate, key) = self.sign(names, false)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    /// How a server with a certificate for these names does TLS.
    pub fn server(&self, names: &[&str]) -> Result<Arc<ServerConfig>> {
        Self::serve(self.sign(names, false)?)
    }

    /// The same with a certificate whose time is over.
    pub fn server_of_the_past(&self, names: &[&str]) -> Result<Arc<ServerConfig>> {
        Self::serve(self.sign(names, true)?)
    }

    fn serve((certificate, key): (Certificate, KeyPair)) -> Result<Arc<ServerConfig>> {
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| anyhow!("{error}"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config =
            builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub version: hyper::Version,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// What servers share with the test.
#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    site: Option<Site>,
    /// Lets `/events` go on.
    released: Notify,
}

/// Servers in a namespace of their own, as long as this value lives.
pub struct Web {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Web {
    /// Listens on these addresses, with TLS or without.
    pub fn start(netns: &Netns, listen: Vec<(SocketAddr, Option<Arc<ServerConfig>>)>) -> Result<Self> {
        Self::start_with(netns, listen, None)
    }

    /// The same with more to offer than single answers.
    pub fn start_with(
        netns: &Netns,
        listen: Vec<(SocketAddr, Option<Arc<ServerConfig>>)>,
        site: Option<Site>,
    ) -> Result<Self> {
        let namespace = File::open(netns.path())?;
        let shared = Arc::new(Shared { site, ..Shared::default() });
        let ((stop, stopped), (told, ready)) = (oneshot::channel(), std::sync::mpsc::channel());
        let serving = shared.clone();
        let thread = std::thread::spawn(move || {
            let bound = (|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let listeners = runtime.block_on(async {
                    let mut listeners = Vec::new();
                    for (address, tls) in listen {
                        let listener =
                            TcpListener::bind(address).await.with_context(|| address.to_string())?;
                        listeners.push((listener, tls));
                    }
                    anyhow::Ok(listeners)
                })?;
                anyhow::Ok((runtime, listeners))
            })();
            match bound {
                Err(error) => {
                    let _ = told.send(Err(error));
                }
                Ok((runtime, listeners)) => {
                    let _ = told.send(Ok(()));
                    runtime.block_on(async move {
                        for (listener, tls) in listeners {
                            tokio::spawn(accept(listener, tls, serving.clone()));
                        }
                        let _ = stopped.await;
                    });
                }
            }
        });
        ready.recv().context("the servers' thread ended")??;
        Ok(Self { shared, stop: Some(stop), thread: Some(thread) })
    }

    /// All requests since this was last asked.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.shared.received.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The only request since this was last asked.
    pub fn only(&self) -> Result<Received> {
        match self.take().as_slice() {
            [only] => Ok(only.clone()),
            others => Err(anyhow!("expected one request, got {others:?}")),
        }
    }

    /// Waits until so many requests have arrived since they were last taken.
    pub fn wait_for(&self, count: usize) -> Result<()> {
        let begin = Instant::now();
        while self.shared.received.lock().unwrap_or_else(PoisonError::into_inner).len() < count {
            ensure!(begin.elapsed() < ARRIVAL_LIMIT, "{count} requests have not arrived");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Lets one `/events` stream say its second word.
    pub fn release(&self) {
        self.shared.released.notify_one();
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, tls: Option<Arc<ServerConfig>>, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), shared.clone());
        tokio::spawn(async move {
            // A client may go away at any time.
            let _ = connection(stream, tls, shared).await;
        });
    }
}

async fn connection(stream: TcpStream, tls: Option<Arc<ServerConfig>>, shared: Arc<Shared>) -> Result<()> {
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { answer(request, shared).await }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().max_header_list_size(LONGEST_HEAD);
    let served = match tls {
        None => builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await,
        Some(tls) => {
            let stream = TlsAcceptor::from(tls).accept(stream).await?;
            builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await
        }
    };
    served.map_err(|error| anyhow!("{error}"))
}

async fn answer(mut request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>> {
    let upgrade = request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let refuses = parts.uri.path() == "/refuse";
    // Not read, so not asked for.
    let (body, trailers) = match refuses {
        true => (Bytes::new(), None),
        false => {
            let whole = body.collect().await?;
            let trailers = whole.trailers().cloned();
            (whole.to_bytes(), trailers)
        }
    };
    let received = Received {
        method: parts.method.to_string(),
        target: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        version: parts.version,
        headers: parts.headers,
        body,
        trailers,
    };
    shared.received.lock().unwrap_or_else(PoisonError::into_inner).push(received.clone());
    if let Some(site) = &shared.site
        && let Some(response) = site.answer(&received).await?
    {
        return Ok(response.map(BodyExt::boxed_unsync));
    }
    let secret =
        received.header("authorization").or(received.header("x-api-key")).unwrap_or("none").to_owned();
    let mut response = Response::new(whole(Bytes::from_static(b"hello\n")));
    match parts.uri.path() {
        "/refuse" => *response.status_mut() = StatusCode::EXPECTATION_FAILED,
        "/redirect" => {
            *response.status_mut() = StatusCode::FOUND;
            let location = format!("https://other.test/stolen?{}", secret.replace(' ', "+"));
            response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(&location)?);
        }
        "/echo" => {
            response.headers_mut().insert("x-echo", HeaderValue::from_str(&secret)?);
            *response.body_mut() = whole(Bytes::from(format!("you sent {secret}.\n")));
        }
        "/split" => {
            let (one, two) = secret.split_at(secret.len() / 2);
            *response.body_mut() = pieces(vec![format!("a {one}"), format!("{two} b\n")]);
        }
        "/trailers" => {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-status", HeaderValue::from_str(&secret)?);
            let frames = [Frame::data(Bytes::from_static(b"body\n")), Frame::trailers(trailers)];
            response.headers_mut().insert(header::TRAILER, HeaderValue::from_static("x-status"));
            *response.body_mut() = StreamBody::new(stream::iter(frames.map(Ok))).boxed_unsync();
        }
        "/events" => {
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            let events = stream::unfold(0, move |count| {
                let shared = shared.clone();
                async move {
                    if count == 1 {
                        shared.released.notified().await;
                    }
                    let event = ["data: one\n\n", "data: two\n\n"].get(count)?;
                    Some((Ok(Frame::data(Bytes::from_static(event.as_bytes()))), count + 1))
                }
            });
            *response.body_mut() = StreamBody::new(events).boxed_unsync();
        }
        // Its head, or the end of its body, only comes when it is let go on.
        "/hold" | "/late" => {
            response.headers_mut().insert("x-echo", HeaderValue::from_str(&secret)?);
            let last = format!("you sent {secret}.\n");
            if parts.uri.path() == "/hold" {
                shared.released.notified().await;
                *response.body_mut() = whole(Bytes::from(last));
            } else {
                let mut trailers = HeaderMap::new();
                trailers.insert("x-status", HeaderValue::from_str(&secret)?);
                let frames = [
                    Frame::data(Bytes::from_static(b"begin\n")),
                    Frame::data(Bytes::from(last)),
                    Frame::trailers(trailers),
                ];
                let frames = stream::iter(frames).enumerate().then(move |(at, frame)| {
                    let shared = shared.clone();
                    async move {
                        if at == 1 {
                            shared.released.notified().await;
                        }
                        Ok(frame)
                    }
                });
                response.headers_mut().insert(header::TRAILER, HeaderValue::from_static("x-status"));
                *response.body_mut() = StreamBody::new(frames).boxed_unsync();
            }
        }
        "/reason" => {
            response.extensions_mut().insert(ReasonPhrase::try_from(secret.as_bytes())?);
        }
        // Packed, whatever was asked for; said to be so as the query says.
        "/packed" => {
            let mut packer = GzEncoder::new(Vec::new(), Compression::default());
            packer.write_all(format!("you sent {secret}.\n").as_bytes())?;
            let coding = HeaderValue::from_str(parts.uri.query().unwrap_or("gzip"))?;
            response.headers_mut().insert(header::CONTENT_ENCODING, coding);
            *response.body_mut() = whole(Bytes::from(packer.finish()?));
        }
        "/big" => {
            let count: usize = parts.uri.query().unwrap_or("0").parse()?;
            let piece = Bytes::from(vec![b'x'; 64 * 1024]);
            let frames = stream::iter(std::iter::repeat_n(piece, count).map(|piece| Ok(Frame::data(piece))));
            *response.body_mut() = StreamBody::new(frames).boxed_unsync();
        }
        "/upload" => *response.body_mut() = whole(Bytes::from(format!("{}\n", received.body.len()))),
        "/ws" => {
            let key = received.header("sec-websocket-key").context("no WebSocket")?;
            let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()))?;
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert("sec-websocket-accept", accept);
            *response.body_mut() = whole(Bytes::new());
            tokio::spawn(echo_messages(upgrade.context("no change of the protocol")?, secret));
        }
        _ => {}
    }
    if received.method == "HEAD" {
        // The library would send the body.
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("6"));
        *response.body_mut() = whole(Bytes::new());
    }
    Ok(response)
}

/// Says the secret once, then everything it hears, and the secret again when it is asked for.
async fn echo_messages(upgrade: hyper::upgrade::OnUpgrade, secret: String) -> Result<()> {
    let socket = TokioIo::new(upgrade.await?);
    let mut socket = WebSocketStream::from_raw_socket(socket, Role::Server, None).await;
    socket.send(Message::text(secret.clone())).await?;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() {
            let again = message.to_text().is_ok_and(|text| text == "again");
            socket.send(if again { Message::text(secret.clone()) } else { message }).await?;
        }
    }
    Ok(())
}

fn whole(text: Bytes) -> Body {
    Full::new(text).boxed_unsync()
}

fn pieces(texts: Vec<String>) -> Body {
    StreamBody::new(stream::iter(texts.into_iter().map(|text| Ok(Frame::data(Bytes::from(text))))))
        .boxed_unsync()
}
