//! Talks to one registry on behalf of one pull or push.

use std::{io, sync::Once, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream::BoxStream};
use oci_client::{
    Client, Reference, RegistryOperation,
    client::{BlobResponse, ClientConfig, ClientProtocol},
    errors::{DigestError, OciDistributionError, OciErrorCode},
    secrets::RegistryAuth,
};
use reqwest::header::HeaderValue;

use super::{
    config::{Descriptor, Manifest, choose},
    digest::Digest,
    error::ImageError,
    repack::MANIFEST_TYPE,
    types::{Credentials, Platform, StoreOptions},
};

const ACCEPTED: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
/// An index may list indexes, as some builders do; deeper nesting has no use.
const MAX_DEPTH: usize = 3;
const MAX_DOCUMENT: u64 = 8 << 20;
/// What a registry says is repeated to the caller up to this length.
const MAX_TEXT: usize = 300;

pub(super) struct Registry {
    client: Client,
    reference: Reference,
    stall: Duration,
}

/// What a tag or digest stands for, after the platform was chosen.
pub(super) struct Resolved {
    pub(super) digest: Digest,
    pub(super) bytes: Vec<u8>,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

/// The rest of a blob.
pub(super) struct BlobStream {
    /// The registry began where it was asked to; otherwise it sends everything from the start.
    pub(super) resumed: bool,
    stream: BoxStream<'static, io::Result<Bytes>>,
    stall: Duration,
}

impl Registry {
    /// Proves who we are where the registry asks for it.
    pub(super) async fn connect(
        reference: Reference,
        credentials: Option<&Credentials>,
        options: &StoreOptions,
    ) -> Result<Self, ImageError> {
        Self::open(reference, credentials, options, RegistryOperation::Pull).await
    }

    async fn open(
        reference: Reference,
        credentials: Option<&Credentials>,
        options: &StoreOptions,
        operation: RegistryOperation,
    ) -> Result<Self, ImageError> {
        static PROVIDER: Once = Once::new();
        // An error means that the program has chosen one already.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let host = reference.resolve_registry();
        let protocol = match is_insecure(host, &options.insecure_registries) {
            true => ClientProtocol::HttpsExcept(vec![host.to_owned()]),
            false => ClientProtocol::Https,
        };
        let config = ClientConfig {
            protocol,
            connect_timeout: Some(options.connect_timeout),
            // Silence is timed here, answer by answer: the client's own limit also fires when data has come and this
            // process was too busy to look.
            read_timeout: None,
            user_agent: concat!("sandkeep/", env!("CARGO_PKG_VERSION")),
            use_monolithic_push: true,
            ..ClientConfig::default()
        };
        // A client keeps the first credentials it sees for a registry, hence one for each pull.
        let client = Client::try_from(config).map_err(|e| {
            translate(e, host).within("cannot set up TLS (Debian's package ca-certificates may be missing)")
        })?;
        let registry = Self { client, reference, stall: options.stall_timeout };
        let auth = match credentials {
            None => RegistryAuth::Anonymous,
            Some(Credentials::Basic { username, password }) => {
                RegistryAuth::Basic(username.clone(), password.clone())
            }
            Some(Credentials::Token(token)) => RegistryAuth::Bearer(token.clone()),
        };
        registry.bounded(registry.client.auth(&registry.reference, &auth, operation)).await?;
        Ok(registry)
    }

    /// Like [`Self::connect`], with the right to write.
    pub(super) async fn connect_to_push(
        reference: Reference,
        credentials: Option<&Credentials>,
        options: &StoreOptions,
    ) -> Result<Self, ImageError> {
        Self::open(reference, credentials, options, RegistryOperation::Push).await
    }

    pub(super) async fn has_blob(&self, digest: &Digest) -> Result<bool, ImageError> {
        match self.bounded(self.client.blob_exists(&self.reference, digest.as_str())).await {
            // A repository that does not exist yet has no blobs.
            Err(ImageError::NotFound(_)) => Ok(false),
            answer => answer,
        }
    }

    /// Sends a blob, as long as the registry goes on taking it.
    pub(super) async fn send_blob(
        &self,
        digest: &Digest,
        size: u64,
        content: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), ImageError> {
        let (moved, mut watch) = tokio::sync::watch::channel(());
        let content = content.map(move |piece| {
            moved.send_replace(());
            piece.map_err(OciDistributionError::IoError)
        });
        let send = self.client.push_blob_stream(&self.reference, content, digest.as_str(), Some(size));
        tokio::pin!(send);
        loop {
            tokio::select! {
                sent = &mut send => return sent.map(drop).map_err(|e| translate(e, self.host())),
                moved = tokio::time::timeout(self.stall, watch.changed()) => match moved {
                    Ok(Ok(())) => {}
                    // Everything is sent; what is left is the answer.
                    Ok(Err(_)) => return self.bounded(send).await.map(drop),
                    Err(_) => return Err(stalled(self.host(), self.stall)),
                },
            }
        }
    }

    pub(super) async fn send_manifest(&self, manifest: Vec<u8>) -> Result<(), ImageError> {
        let kind = HeaderValue::from_static(MANIFEST_TYPE);
        self.bounded(self.client.push_manifest_raw(&self.reference, manifest, kind)).await.map(drop)
    }

    fn host(&self) -> &str {
        self.reference.resolve_registry()
    }

    async fn bounded<T>(
        &self,
        answer: impl Future<Output = Result<T, OciDistributionError>>,
    ) -> Result<T, ImageError> {
        match tokio::time::timeout(self.stall, answer).await {
            Ok(result) => result.map_err(|e| translate(e, self.host())),
            Err(_) => Err(stalled(self.host(), self.stall)),
        }
    }

    /// Fetches the manifest for a platform, through as many indexes as it takes.
    pub(super) async fn resolve(&self, platform: &Platform) -> Result<Resolved, ImageError> {
        let mut reference = self.reference.clone();
        for _ in 0..MAX_DEPTH {
            let fetch = self.client.pull_manifest_raw(&reference, &RegistryAuth::Anonymous, &ACCEPTED);
            let (bytes, _) = self.bounded(fetch).await?;
            if bytes.len() as u64 > MAX_DOCUMENT {
                return Err(ImageError::Unsupported(format!("a manifest of {} bytes", bytes.len())));
            }
            let digest = Digest::of(&bytes);
            check_digest("manifest", reference.digest(), &digest)?;
            match Manifest::parse(&bytes)? {
                Manifest::Image { config, layers } => {
                    return Ok(Resolved { digest, bytes: bytes.into(), config, layers });
                }
                Manifest::Index(entries) => {
                    let chosen = choose(&entries, platform)?;
                    reference = reference.clone_with_digest(chosen.digest.to_string());
                }
            }
        }
        Err(ImageError::Unsupported("indexes of indexes of indexes".into()))
    }

    /// A configuration, whole and verified.
    pub(super) async fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError> {
        if descriptor.size > MAX_DOCUMENT {
            return Err(ImageError::Unsupported(format!("a configuration of {} bytes", descriptor.size)));
        }
        let mut stream = self.blob(&descriptor.digest, 0).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next(self.host()).await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > descriptor.size {
                break;
            }
        }
        check_digest("configuration", Some(descriptor.digest.as_str()), &Digest::of(&bytes))?;
        Ok(bytes)
    }

    /// Opens a blob from `offset` on. Its content is not verified here.
    pub(super) async fn blob(&self, digest: &Digest, offset: u64) -> Result<BlobStream, ImageError> {
        let open = self.client.pull_blob_stream_partial(&self.reference, digest.as_str(), offset, None);
        let (resumed, stream) = match self.bounded(open).await? {
            BlobResponse::Full(stream) => (offset == 0, stream.stream),
            BlobResponse::Partial(stream) => (true, stream.stream),
        };
        Ok(BlobStream { resumed, stream, stall: self.stall })
    }

    /// The next piece of a blob; `None` at its end.
    pub(super) async fn piece(&self, stream: &mut BlobStream) -> Result<Option<Bytes>, ImageError> {
        stream.next(self.host()).await
    }
}

impl BlobStream {
    async fn next(&mut self, host: &str) -> Result<Option<Bytes>, ImageError> {
        match tokio::time::timeout(self.stall, self.stream.next()).await {
            Err(_) => Err(stalled(host, self.stall)),
            Ok(None) => Ok(None),
            Ok(Some(Ok(bytes))) => Ok(Some(bytes)),
            Ok(Some(Err(e))) => Err(translate(OciDistributionError::IoError(e), host)),
        }
    }
}

fn check_digest(what: &str, expected: Option<&str>, actual: &Digest) -> Result<(), ImageError> {
    match expected {
        Some(expected) if expected != actual.as_str() => Err(ImageError::DigestMismatch {
            what: what.to_owned(),
            expected: expected.to_owned(),
            actual: actual.to_string(),
        }),
        _ => Ok(()),
    }
}

/// Loopback needs no encryption; other registries only when the operator says so.
fn is_insecure(registry: &str, allowed: &[String]) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    loopback || allowed.iter().any(|a| a == registry || a == host)
}

fn stalled(host: &str, limit: Duration) -> ImageError {
    ImageError::Stalled(format!("registry {host} sent nothing for {:.1} s", limit.as_secs_f64()))
}

fn clipped(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

fn translate(error: OciDistributionError, host: &str) -> ImageError {
    use OciDistributionError as E;
    match error {
        E::AuthenticationFailure(_) | E::UnauthorizedError { .. } => unauthorized(host),
        E::RegistryError { envelope, .. } => {
            let text = envelope.errors.iter().map(|e| clipped(&e.message)).collect::<Vec<_>>().join("; ");
            match envelope.errors.first().map(|e| &e.code) {
                Some(OciErrorCode::Unauthorized | OciErrorCode::Denied) => unauthorized(host),
                Some(
                    OciErrorCode::ManifestUnknown
                    | OciErrorCode::NameUnknown
                    | OciErrorCode::NameInvalid
                    | OciErrorCode::BlobUnknown
                    | OciErrorCode::ManifestBlobUnknown
                    | OciErrorCode::NotFound,
                ) => ImageError::NotFound(format!("registry {host}: {text}")),
                _ => ImageError::RegistryUnreachable(format!("registry {host}: {text}")),
            }
        }
        E::ImageManifestNotFoundError(_) | E::ServerError { code: 404, .. } => {
            ImageError::NotFound(format!("registry {host} has no such image"))
        }
        E::ServerError { code: 401 | 403, .. } => unauthorized(host),
        E::ServerError { code, message, .. } => {
            ImageError::RegistryUnreachable(format!("registry {host} answers {code}: {}", clipped(&message)))
        }
        E::DigestError(DigestError::VerificationError { expected, actual }) => {
            ImageError::DigestMismatch { what: format!("content from {host}"), expected, actual }
        }
        E::RequestError(error) => transport(error, host),
        E::IoError(error) => match error.downcast::<reqwest::Error>() {
            Ok(error) => transport(error, host),
            Err(error) => match error.downcast::<DigestError>() {
                Ok(error) => translate(E::DigestError(error), host),
                Err(error) => ImageError::RegistryUnreachable(format!("registry {host}: {error}")),
            },
        },
        other => ImageError::RegistryUnreachable(format!("registry {host}: {}", clipped(&other.to_string()))),
    }
}

fn unauthorized(host: &str) -> ImageError {
    ImageError::Unauthorized(format!("registry {host} does not let these credentials do this with the image"))
}

fn transport(error: reqwest::Error, host: &str) -> ImageError {
    // The address may hold a token; the innermost cause says what happened.
    let error = error.without_url();
    let timeout = error.is_timeout();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = format!("registry {host}: {cause}");
    match timeout && !error.is_connect() {
        true => ImageError::Stalled(text),
        false => ImageError::RegistryUnreachable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_listed_registries_are_spoken_to_in_the_clear() {
        let listed = ["registry.lan".to_owned(), "10.0.0.1:5000".to_owned()];
        for host in [
            "localhost:5000",
            "127.0.0.1:5000",
            "127.8.9.1",
            "registry.lan:80",
            "registry.lan",
            "10.0.0.1:5000",
        ] {
            assert!(is_insecure(host, &listed), "{host}");
        }
        for host in ["ghcr.io", "10.0.0.1:5001", "10.0.0.1", "localhost.evil.com", "127.0.0.1.evil.com:5000"]
        {
            assert!(!is_insecure(host, &listed), "{host}");
        }
    }

    #[test]
    fn what_a_registry_says_is_kept_short_and_plain() {
        let error = OciDistributionError::ServerError {
            code: 500,
            url: "http://user:secret@r/".into(),
            message: format!("\u{1b}[31m{}", "x".repeat(10_000)),
        };
        let text = translate(error, "r").to_string();
        assert!(text.len() < 400 && !text.contains('\u{1b}') && !text.contains("secret"));
    }
}
