//! Messages to a receiver outside, in the sidecar's own name: no rule is asked, and the namespace reaches nothing more.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
};

use anyhow::{Context, Result};
use http_body_util::Full;
use hyper::{HeaderMap, Request, StatusCode, Uri, body::Bytes, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::TlsConnector;

use crate::{dns::Names, firewall::mark, roots::Roots};

/// Most of an answer that is held; only its status counts.
const MAX_ANSWER_BYTES: usize = 16 << 10;

/// One receiver, an http or https URL.
pub(crate) struct Post {
    uri: Uri,
    headers: HeaderMap,
    roots: Roots,
    /// Made for the first message: authorities take memory, which receivers without TLS do not cost.
    tls: Option<TlsConnector>,
}

impl std::fmt::Debug for Post {
    /// The URL and the headers may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Post").finish_non_exhaustive()
    }
}

impl Post {
    /// Each message bears `headers`, but for `Host`, which the URL says.
    pub(crate) fn new(uri: Uri, headers: HeaderMap, roots: Roots) -> Self {
        Self { uri, headers, roots, tls: None }
    }

    /// Sends one message over a connection of its own; what is answered, redirections included. Takes as long as the
    /// receiver likes. Errors say nothing of the URL but what its name was found to be.
    pub(crate) async fn send(&mut self, body: Bytes, names: &Names) -> Result<StatusCode> {
        let host = self.uri.host().context("the URL has no host")?.trim_matches(['[', ']']).to_owned();
        let secure = self.uri.scheme_str() == Some("https");
        let port = self.uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => names.own(host.clone()).await?,
        };
        let stream = connect(&addresses, port).await?;
        let request = self.request(body)?;
        if !secure {
            return exchange(stream, request).await;
        }
        let connector = match &self.tls {
            Some(connector) => connector,
            None => self.tls.insert(TlsConnector::from(Arc::new(trusting(self.roots.clone()).await?))),
        };
        exchange(connector.connect(ServerName::try_from(host)?, stream).await?, request).await
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>> {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = self.uri.authority().context("the URL has no host")?.as_str();
        let mut request = Request::post(path).body(Full::new(body))?;
        *request.headers_mut() = self.headers.clone();
        let host = authority.rsplit('@').next().unwrap_or(authority);
        request.headers_mut().insert(HOST, host.try_into()?);
        Ok(request)
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
    let mut http = http1::Builder::new();
    http.max_buf_size(MAX_ANSWER_BYTES);
    let (mut sender, connection) = http.handshake(TokioIo::new(stream)).await?;
    let mut response = pin!(sender.send_request(request));
    let ended = tokio::select! {
        response = &mut response => return Ok(response?.status()),
        ended = connection => ended,
    };
    // A receiver may answer and close at once: then the answer is here.
    match (response.await, ended) {
        (Ok(response), _) => Ok(response.status()),
        (Err(error), Ok(())) | (Err(_), Err(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// What comes of a message to somebody who says this, and closes.
    async fn answered(answer: &'static str) -> Result<StatusCode> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            while !heard.ends_with(b"the body") {
                assert_ne!(stream.read_buf(&mut heard).await.unwrap(), 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let message = Request::post("/").header(HOST, "a").body(Full::from("the body")).unwrap();
        let send = async { exchange(TcpStream::connect(to).await.unwrap(), message).await };
        tokio::join!(serve, send).1
    }

    #[tokio::test]
    async fn an_answer_counts_though_the_connection_ends_with_it() {
        for _ in 0..50 {
            let last = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
            assert_eq!(answered(last).await.unwrap(), StatusCode::NO_CONTENT);
            assert_eq!(answered("HTTP/1.0 302 Found\r\n\r\n").await.unwrap(), StatusCode::FOUND);
        }
        for none in ["", "HTTP/1.1 200", "nonsense\r\n\r\n"] {
            assert!(answered(none).await.is_err(), "{none}");
        }
    }
}
