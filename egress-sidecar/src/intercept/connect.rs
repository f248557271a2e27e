//! Connections to the outside: marked, so that the firewall lets them pass, and with certificates checked.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::OnceCell,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    body::Protocol,
    bounded::Bounded,
    way::{Through, Way},
};
use crate::{firewall::mark, roots::Roots};

/// How long connecting may take, and how long the handshake after it.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// An upstream that acknowledges nothing for so long is gone.
const SILENCE_LIMIT: Duration = Duration::from_secs(120);

const H2: &[u8] = b"h2";
const H1: &[u8] = b"http/1.1";

/// Which certificates are believed.
#[derive(Debug, Clone, Default)]
pub(super) struct Trust {
    /// All of them.
    pub(super) anything: bool,
    /// Those of authorities.
    pub(super) roots: Roots,
}

/// Why there is no connection.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("cannot connect to {address}: {reason}")]
    Unreachable { address: SocketAddr, reason: String },
    #[error("{address} was not reached in time")]
    TimedOut { address: SocketAddr },
    #[error("no secure connection to {host:?} at {address}: {reason}")]
    Tls { host: String, address: SocketAddr, reason: String },
    #[error("no connection to {address} through the upstream proxy: {reason}")]
    Proxy { address: SocketAddr, reason: String },
    #[error("{host:?} at {address} no longer speaks {protocol:?}")]
    Protocol { host: String, address: SocketAddr, protocol: Protocol },
}

/// One configuration for each list of protocols a client can offer.
struct Configs {
    both: Arc<ClientConfig>,
    h2: Arc<ClientConfig>,
    h1: Arc<ClientConfig>,
    none: Arc<ClientConfig>,
}

/// What a client offers to speak inside TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Offer {
    Both,
    Only(Protocol),
    Nothing,
}

/// Makes connections.
pub(super) struct Connector {
    trust: Trust,
    /// Reading the system's authorities takes longer than everything else at start.
    configs: OnceCell<Configs>,
    /// A proxy that is the only way out.
    through: Option<Through>,
}

impl Connector {
    pub(super) fn new(trust: Trust, through: Option<Through>) -> Self {
        Self { trust, configs: OnceCell::new(), through }
    }

    /// Reads the trusted authorities, so that the first connection need not.
    pub(super) async fn prepare(&self) {
        self.configs().await;
    }

    /// Whether certificates say who an upstream is.
    pub(super) fn verifies(&self) -> bool {
        !self.trust.anything
    }

    async fn configs(&self) -> &Configs {
        let trust = &self.trust;
        let make = async || {
            let trust = trust.clone();
            let made = tokio::task::spawn_blocking(move || configs(&trust)).await;
            // It does not panic, but a connection that trusts nobody is what is safe should it ever.
            made.unwrap_or_else(|_| configs_of(RootCertStore::empty(), false))
        };
        self.configs.get_or_init(make).await
    }

    /// A plain connection.
    pub(super) async fn plain(&self, address: SocketAddr) -> Result<Way, ConnectError> {
        match &self.through {
            Some(through) => through.open(self, address).await,
            None => self.straight(address).await.map(Way::Straight),
        }
    }

    /// How a proxy is believed.
    pub(super) async fn trusting(&self) -> TlsConnector {
        TlsConnector::from(self.configs().await.none.clone())
    }

    /// A connection through nobody.
    pub(super) async fn straight(&self, address: SocketAddr) -> Result<TcpStream, ConnectError> {
        let unreachable = |error: io::Error| ConnectError::Unreachable { address, reason: error.to_string() };
        let socket = Self::socket(address).map_err(unreachable)?;
        match timeout(CONNECT_LIMIT, socket.connect(address)).await {
            Ok(Ok(stream)) => {
                // Only costs a delay where it fails.
                let _ = stream.set_nodelay(true);
                Ok(stream)
            }
            Ok(Err(error)) => Err(unreachable(error)),
            Err(_) => Err(ConnectError::TimedOut { address }),
        }
    }

    fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        mark(&socket)?;
        socket.set_keepalive(true)?;
        let silence = u32::try_from(SILENCE_LIMIT.as_millis()).unwrap_or(u32::MAX);
        rustix::net::sockopt::set_tcp_user_timeout(&socket, silence)?;
        Ok(socket)
    }

    /// A secure connection to this host, and what it speaks.
    pub(super) async fn tls(
        &self,
        host: &str,
        address: SocketAddr,
        offer: Offer,
    ) -> Result<(TlsStream<Bounded<Way>>, Protocol), ConnectError> {
        let failed = |reason: String| ConnectError::Tls { host: host.to_owned(), address, reason };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(error.to_string()))?;
        let stream = Bounded(self.plain(address).await?);
        let configs = self.configs().await;
        let config = match offer {
            Offer::Both => &configs.both,
            Offer::Only(Protocol::H2) => &configs.h2,
            Offer::Only(Protocol::H1) => &configs.h1,
            Offer::Nothing => &configs.none,
        };
        let stream =
            match timeout(CONNECT_LIMIT, TlsConnector::from(config.clone()).connect(name, stream)).await {
                Ok(stream) => stream.map_err(|error| failed(error.to_string()))?,
                Err(_) => return Err(ConnectError::TimedOut { address }),
            };
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(H2) => Protocol::H2,
            _ => Protocol::H1,
        };
        if let Offer::Only(wanted) = offer
            && wanted != protocol
        {
            return Err(ConnectError::Protocol { host: host.to_owned(), address, protocol: wanted });
        }
        Ok((stream, protocol))
    }
}

fn configs(trust: &Trust) -> Configs {
    configs_of(trust.roots.load(), trust.anything)
}

fn configs_of(roots: RootCertStore, anything: bool) -> Configs {
    let (provider, roots) = (Arc::new(ring::default_provider()), Arc::new(roots));
    let make = |protocols: &[&[u8]]| {
        let builder = ClientConfig::builder_with_provider(provider.clone());
        // The provider brings both versions.
        #[expect(clippy::unwrap_used, reason = "fails only for a provider without any cipher suite")]
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut config = match anything {
            false => builder.with_root_certificates(roots.clone()).with_no_client_auth(),
            true => {
                let verifier = Arc::new(Anybody(provider.clone()));
                builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
            }
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    };
    Configs { both: make(&[H2, H1]), h2: make(&[H2]), h1: make(&[H1]), none: make(&[]) }
}

/// Believes every certificate, where the operator says so. The vault stays shut then.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
