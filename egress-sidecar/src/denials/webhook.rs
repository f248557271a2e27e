//! Telling somebody elsewhere of refused names.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use chrono::{SecondsFormat, Utc};
use http_body_util::Full;
use hyper::{
    Request, StatusCode, Uri,
    body::Bytes,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

use crate::{firewall::mark, roots::Roots};

/// Refusals that wait to be told; more are lost.
const QUEUE: usize = 256;
/// One attempt, from the name of the receiver to its answer.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Attempts after the first one; the pause before each is twice the one before.
const RETRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const SOURCE: &str = "opensandbox-egress";

/// The receiver, and what waits to be told to it.
#[derive(Debug)]
pub struct Webhook {
    uri: Uri,
    sandbox_id: String,
    roots: Roots,
    queue: mpsc::Receiver<Box<str>>,
}

impl Webhook {
    /// A receiver, and the end refusals are put in at.
    #[must_use]
    pub fn new(uri: Uri, sandbox_id: &str, roots: Roots) -> (Self, mpsc::Sender<Box<str>>) {
        let (sender, queue) = mpsc::channel(QUEUE);
        (Self { uri, sandbox_id: sandbox_id.to_owned(), roots, queue }, sender)
    }

    /// Tells one refusal after the other until nobody can put one in any more. `lookup` finds the addresses of a name.
    pub async fn run(mut self, lookup: impl AsyncFn(&str) -> io::Result<Vec<IpAddr>>) {
        let mut tls = None;
        while let Some(name) = self.queue.recv().await {
            let body = json!({
                "hostname": &*name,
                "timestamp": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
                "source": SOURCE,
                "sandboxId": self.sandbox_id,
            });
            let body = Bytes::from(body.to_string());
            let mut pause = FIRST_PAUSE;
            for attempt in 0..=RETRIES {
                let sent = timeout(ATTEMPT, self.send(body.clone(), &lookup, &mut tls)).await;
                match sent.context("no answer in time").flatten() {
                    Ok(status) if status.is_success() || status.is_client_error() => break,
                    Ok(status) => tracing::warn!(%status, attempt, "the deny web hook fails"),
                    Err(error) => {
                        tracing::warn!(error = format!("{error:#}"), attempt, "the deny web hook fails")
                    }
                }
                if attempt < RETRIES {
                    sleep(pause).await;
                    pause *= 2;
                }
            }
        }
    }

    async fn send(
        &self,
        body: Bytes,
        lookup: &impl AsyncFn(&str) -> io::Result<Vec<IpAddr>>,
        tls: &mut Option<TlsConnector>,
    ) -> Result<StatusCode> {
        let host = self.uri.host().context("the URL has no host")?.trim_matches(['[', ']']);
        let secure = self.uri.scheme_str() == Some("https");
        let port = self.uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => lookup(host).await?,
        };
        let stream = connect(&addresses, port).await?;
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = self.uri.authority().context("the URL has no host")?.as_str();
        let host_header = authority.rsplit('@').next().unwrap_or(authority);
        let request = Request::post(path)
            .header(HOST, host_header)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        if !secure {
            return exchange(stream, request).await;
        }
        let connector = match tls {
            Some(connector) => connector,
            None => tls.insert(TlsConnector::from(Arc::new(trusting(self.roots.clone()).await?))),
        };
        let name = ServerName::try_from(host.to_owned())?;
        exchange(connector.connect(name, stream).await?, request).await
    }
}

async fn trusting(roots: Roots) -> Result<ClientConfig> {
    let roots = tokio::task::spawn_blocking(move || roots.load()).await?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

async fn connect(addresses: &[IpAddr], port: u16) -> Result<TcpStream> {
    let mut reason = io::Error::other("the host has no address");
    for address in addresses {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        mark(&socket)?;
        match socket.connect(SocketAddr::new(*address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => reason = error,
        }
    }
    Err(reason).context("cannot connect")
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
) -> Result<StatusCode> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::select! {
        response = sender.send_request(request) => Ok(response?.status()),
        ended = connection => match ended {
            Ok(()) => bail!("the connection was closed"),
            Err(error) => Err(error.into()),
        },
    }
}
