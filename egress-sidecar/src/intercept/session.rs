//! One connection of a client: what it speaks, whom it is for, and the upstream it uses.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex as SyncMutex, MutexGuard, PoisonError},
};

use hyper::{server::conn::http1, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use sandkeep_specs::egress::audit::AuditKind;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Mutex,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    Destination, Shared, Verdict,
    body::Protocol,
    bounded::{self, Bounded},
    connect::{ConnectError, Offer},
    guard::Holders,
    hello::{self, Hello, Spoken},
    request,
    rewind::Rewind,
    tunnel::{self, Tunnel},
    upstream::{self, Key, Upstream},
};
use crate::audit::Event;

/// A handshake must be done by then.
const HANDSHAKE_LIMIT: std::time::Duration = std::time::Duration::from_secs(15);
/// HTTP/1.1: a head must be there by then; between requests it is the time to be idle.
const HEAD_LIMIT: std::time::Duration = std::time::Duration::from_secs(300);
/// HTTP/2: requests at the same time on one connection.
const STREAMS: u32 = 256;

/// Without TLS: hosts that requests of one connection may be for.
const HOSTS: usize = 64;

/// A client's connection.
pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) destination: Destination,
    /// The host TLS was opened for. Nothing: there is no TLS, and every request names its own.
    pub(super) host: Option<String>,
    /// That host as a name; nothing if it is an address.
    name: Option<String>,
    pub(super) protocol: Protocol,
    /// The upstream in use; it outlives a request.
    pub(super) upstream: Mutex<Option<Upstream>>,
    /// Why there is none: the answer to every request.
    pub(super) failure: Option<ConnectError>,
    pub(super) holders: Holders,
    /// Without TLS: the hosts of its requests, with HTTP/1.1 only the last one's.
    hosts: SyncMutex<BTreeSet<String>>,
    /// What it goes on as when it has left HTTP.
    tunnel: SyncMutex<Option<Tunnel>>,
}

impl Session {
    /// One without TLS, and without an upstream yet.
    fn new(shared: Arc<Shared>, destination: Destination, protocol: Protocol) -> Self {
        Self {
            shared,
            destination,
            host: None,
            name: None,
            protocol,
            upstream: Mutex::default(),
            failure: None,
            holders: Holders::default(),
            hosts: SyncMutex::default(),
            tunnel: SyncMutex::default(),
        }
    }

    /// The verdict on a host at the client's destination.
    pub(super) fn judge(&self, name: Option<&str>) -> Verdict {
        self.shared.gate.judge(name, self.destination.ip())
    }

    /// Notes whom a request is for; `false` if that is one host too many.
    pub(super) fn note(&self, host: &str) -> bool {
        if self.host.is_some() {
            return true;
        }
        let mut hosts = lock(&self.hosts);
        if self.protocol == Protocol::H1 {
            hosts.clear();
        }
        hosts.contains(host) || (hosts.len() < HOSTS && hosts.insert(host.to_owned()))
    }

    /// Has the connection go on as this, once HTTP has ended on it.
    pub(super) fn change(&self, tunnel: Tunnel) {
        *lock(&self.tunnel) = Some(tunnel);
    }

    /// Whether the policy allows whatever the connection is used for.
    fn is_allowed(&self) -> bool {
        match &self.host {
            Some(_) => self.judge(self.name.as_deref()).allowed,
            None => lock(&self.hosts).iter().all(|host| {
                let name = host.parse::<std::net::IpAddr>().is_err().then_some(host.as_str());
                self.judge(name).allowed
            }),
        }
    }
}

/// What is kept in one is whole whenever it is free.
fn lock<T>(mutex: &SyncMutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves a client until it or the policy ends it.
///
/// What is only needed once is in boxes here and in [`request`]: a connection keeps room for all that is not, as long as it
/// lasts.
pub(super) async fn serve(
    mut stream: TcpStream,
    destination: Destination,
    shared: Arc<Shared>,
) -> io::Result<()> {
    match hello::listen(&stream).await? {
        Spoken::Tls => {
            let hello = Box::pin(hello::read(&mut stream)).await?;
            match Box::pin(open(stream, hello, destination, shared)).await? {
                Some((stream, session)) => run(stream, session).await,
                None => Ok(()),
            }
        }
        Spoken::Http => plain(stream, Protocol::H1, destination, shared).await,
        Spoken::Http2 => plain(stream, Protocol::H2, destination, shared).await,
        Spoken::Unknown => Box::pin(unopened(stream, None, &[], destination, &shared)).await,
    }
}

async fn plain(
    stream: TcpStream,
    protocol: Protocol,
    destination: Destination,
    shared: Arc<Shared>,
) -> io::Result<()> {
    run(Bounded(stream), Session::new(shared, destination, protocol)).await
}

/// Opens TLS. Nothing: the connection was denied, or passed on as it is until it ended.
async fn open(
    stream: TcpStream,
    hello: Hello,
    destination: Destination,
    shared: Arc<Shared>,
) -> io::Result<Option<(Box<TlsStream<Rewind>>, Session)>> {
    let Hello { bytes, name, protocols } = hello;
    let host = name.clone().unwrap_or_else(|| destination.ip().to_string());
    let verdict = shared.gate.judge(name.as_deref(), destination.ip());
    if !verdict.allowed {
        shared.audit.record(event(AuditKind::Https, destination, Some(host), &verdict));
        return Ok(None);
    }
    let is_passed =
        name.as_ref().is_some_and(|name| shared.settings.pass.iter().any(|host| host.matches(name)));
    let Some(offer) = offer(protocols.as_deref()).filter(|_| !is_passed) else {
        unopened(stream, name.filter(|_| is_passed), &bytes, destination, &shared).await?;
        return Ok(None);
    };
    let (protocol, upstream, failure) =
        first_upstream(&shared, &host, name.as_deref(), destination, offer).await;
    let config =
        server_config(&shared, &host, name.is_some(), (offer != Offer::Nothing).then_some(protocol))?;
    let accept = TlsAcceptor::from(config).accept(Rewind::new(bytes, Bounded(stream)));
    let stream = timeout(HANDSHAKE_LIMIT, accept).await.map_err(io::Error::from)??;
    let session = Session::new(shared, destination, protocol);
    let session = Session { host: Some(host), name, upstream: Mutex::new(upstream), failure, ..session };
    Ok(Some((Box::new(stream), session)))
}

/// What an upstream can be offered on behalf of a client. Nothing: the client does not want HTTP.
fn offer(protocols: Option<&[Vec<u8>]>) -> Option<Offer> {
    let Some(protocols) = protocols else { return Some(Offer::Nothing) };
    let has = |wanted: &[u8]| protocols.iter().any(|protocol| protocol == wanted);
    match (has(b"h2"), has(b"http/1.1")) {
        (true, true) => Some(Offer::Both),
        (true, false) => Some(Offer::Only(Protocol::H2)),
        (false, true) => Some(Offer::Only(Protocol::H1)),
        (false, false) => None,
    }
}

/// What to speak with the client: what the upstream chooses, who is asked first if that is not known yet.
async fn first_upstream(
    shared: &Shared,
    host: &str,
    name: Option<&str>,
    destination: Destination,
    offer: Offer,
) -> (Protocol, Option<Upstream>, Option<ConnectError>) {
    if let Some(protocol) = shared.pool.known(host, destination, offer) {
        return (protocol, None, None);
    }
    match connect_secure(shared, host, name, destination, offer).await {
        Ok(upstream) => {
            let protocol = upstream.key.protocol;
            shared.pool.remember(host, destination, offer, Some(protocol));
            (protocol, Some(upstream), None)
        }
        Err(error) => {
            let protocol = if offer == Offer::Only(Protocol::H2) { Protocol::H2 } else { Protocol::H1 };
            (protocol, None, Some(error))
        }
    }
}

/// Connects to a host over TLS. Where certificates do not say who is there, the name does.
pub(super) async fn connect_secure(
    shared: &Shared,
    host: &str,
    name: Option<&str>,
    destination: Destination,
    offer: Offer,
) -> Result<Upstream, ConnectError> {
    let address = match name {
        Some(name) if !shared.connector.verifies() => named_address(shared, name, destination).await?,
        _ => destination,
    };
    let (stream, protocol) = shared.connector.tls(host, address, offer).await?;
    let key = Key { host: host.to_owned(), address: destination, secure: true, protocol };
    let socket = stream.get_ref().0.as_fd().try_clone_to_owned();
    start(shared, stream, socket, key).await
}

pub(super) async fn start<S>(
    shared: &Shared,
    stream: S,
    socket: io::Result<OwnedFd>,
    key: Key,
) -> Result<Upstream, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let address = key.address;
    let unreachable =
        |error: &dyn std::fmt::Display| ConnectError::Unreachable { address, reason: error.to_string() };
    let socket = socket.map_err(|error| unreachable(&error))?;
    let started = Upstream::start(stream, socket, key, shared.vault.changes()).await;
    started.map_err(|error| unreachable(&error))
}

/// Where a name leads: where the client goes if that is one of its addresses, else to one that is.
pub(super) async fn named_address(
    shared: &Shared,
    name: &str,
    destination: Destination,
) -> Result<SocketAddr, ConnectError> {
    let unreachable = |reason: String| ConnectError::Unreachable { address: destination, reason };
    let found = shared.gate.resolve(name.to_owned()).await;
    let found = found.map_err(|error| unreachable(format!("{name:?} cannot be looked up: {error}")))?;
    if found.contains(&destination.ip()) {
        return Ok(destination);
    }
    let other = found.into_iter().find(|address| address.is_ipv4() == destination.is_ipv4());
    let address = other.ok_or_else(|| unreachable(format!("{name:?} has no address")))?;
    Ok(SocketAddr::new(address, destination.port()))
}

/// Another protocol, or a host whose connections are not opened: passed on where a rule allows it.
async fn unopened(
    stream: TcpStream,
    name: Option<String>,
    first: &[u8],
    destination: Destination,
    shared: &Shared,
) -> io::Result<()> {
    let verdict = shared.gate.judge(name.as_deref(), destination.ip());
    shared.audit.record(event(AuditKind::Connection, destination, name.clone(), &verdict));
    if !verdict.allowed {
        return Ok(());
    }
    bounded::room()?;
    let address = match &name {
        Some(name) => named_address(shared, name, destination).await.map_err(io::Error::other)?,
        None => destination,
    };
    let upstream = shared.connector.plain(address).await.map_err(io::Error::other)?;
    let judge = || shared.gate.judge(name.as_deref(), destination.ip()).allowed;
    tokio::select! {
        ended = tunnel::pass(stream, upstream, first) => ended,
        () = denied(shared, judge) => Ok(()),
    }
}

/// Done when the policy no longer allows what it did.
async fn denied(shared: &Shared, is_allowed: impl Fn() -> bool) {
    let mut changes = shared.gate.changes();
    while changes.changed().await.is_ok() {
        if !is_allowed() {
            return;
        }
    }
    std::future::pending().await
}

pub(super) fn event(
    kind: AuditKind,
    destination: Destination,
    host: Option<String>,
    verdict: &Verdict,
) -> Event {
    Event {
        kind: Some(kind),
        allowed: verdict.allowed,
        host,
        destination: Some(destination.to_string()),
        rule: verdict.rule.clone(),
        ..Event::default()
    }
}

async fn run<S>(stream: S, session: Session) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let session = Arc::new(session);
    let service = service_fn(|request| request::handle(session.clone(), request));
    let stream = TokioIo::new(stream);
    let serve = async {
        match session.protocol {
            Protocol::H1 => {
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_LIMIT)
                    .max_headers(upstream::HEADERS)
                    .max_buf_size(upstream::BUFFER)
                    .auto_date_header(false)
                    .serve_connection(stream, service)
                    .with_upgrades()
                    .await?;
                let tunnel = lock(&session.tunnel).take();
                if let Some(tunnel) = tunnel {
                    Box::pin(tunnel.join()).await;
                }
                Ok(())
            }
            Protocol::H2 => {
                http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .initial_stream_window_size(upstream::STREAM_WINDOW)
                    .initial_connection_window_size(upstream::CONNECTION_WINDOW)
                    .max_frame_size(upstream::FRAME)
                    .max_send_buf_size(upstream::SEND_BUFFER)
                    .max_header_list_size(upstream::HEAD)
                    .max_concurrent_streams(STREAMS)
                    .auto_date_header(false)
                    .serve_connection(stream, service)
                    .await
            }
        }
    };
    let ended = tokio::select! {
        ended = serve => ended.map_err(io::Error::other),
        () = denied(&session.shared, || session.is_allowed()) => Ok(()),
        () = session.holders.forgotten(&session.shared.vault) => Ok(()),
    };
    if let Some(upstream) = session.upstream.lock().await.take() {
        session.shared.pool.put(upstream);
    }
    ended
}

/// How to answer a client that wants this host.
fn server_config(
    shared: &Arc<Shared>,
    host: &str,
    is_named: bool,
    protocol: Option<Protocol>,
) -> io::Result<Arc<ServerConfig>> {
    let configs = &shared.server_configs;
    if is_named {
        return Ok(configs.named(protocol));
    }
    let certificate = shared.authority.certificate_for(host).map_err(io::Error::other)?;
    Ok(Arc::new(config(Arc::new(Fixed(certificate)), protocol)))
}

/// Configurations for clients that name their host, one for each protocol.
pub(super) struct ServerConfigs {
    h1: Arc<ServerConfig>,
    h2: Arc<ServerConfig>,
    none: Arc<ServerConfig>,
}

impl ServerConfigs {
    pub(super) fn new(authority: Arc<super::Authority>) -> Self {
        let resolver = Arc::new(ByName(authority));
        let make = |protocol| Arc::new(config(resolver.clone(), protocol));
        Self { h1: make(Some(Protocol::H1)), h2: make(Some(Protocol::H2)), none: make(None) }
    }

    fn named(&self, protocol: Option<Protocol>) -> Arc<ServerConfig> {
        match protocol {
            Some(Protocol::H1) => self.h1.clone(),
            Some(Protocol::H2) => self.h2.clone(),
            None => self.none.clone(),
        }
    }
}

fn config(resolver: Arc<dyn ResolvesServerCert>, protocol: Option<Protocol>) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    #[expect(clippy::unwrap_used, reason = "fails only for a provider without any cipher suite")]
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
    config.alpn_protocols = match protocol {
        Some(Protocol::H1) => vec![b"http/1.1".to_vec()],
        Some(Protocol::H2) => vec![b"h2".to_vec()],
        None => Vec::new(),
    };
    // Clients that come again need not begin anew; without tickets they begin anew, which is all that is lost.
    if let Ok(ticketer) = rustls::crypto::ring::Ticketer::new() {
        config.ticketer = ticketer;
    }
    config
}

/// The certificate for the name a client asks for.
struct ByName(Arc<super::Authority>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.trim_end_matches('.').to_ascii_lowercase();
        self.0.certificate_for(&name).ok()
    }
}

impl std::fmt::Debug for ByName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ByName")
    }
}

/// The certificate for the address a client has connected to.
#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_is_opened() {
        let list = |protocols: &[&str]| {
            protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(offer(None), Some(Offer::Nothing));
        assert_eq!(offer(Some(&list(&["h2", "http/1.1"]))), Some(Offer::Both));
        assert_eq!(offer(Some(&list(&["http/1.1", "spdy/3"]))), Some(Offer::Only(Protocol::H1)));
        assert_eq!(offer(Some(&list(&["imap", "acme-tls/1"]))), None);
    }
}
