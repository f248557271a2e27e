//! Talks to one registry on behalf of one pull or push.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use oci_spec::distribution::Reference;
use reqwest::{
    Body, Method, Response, StatusCode,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION, RANGE},
};

use super::{
    config::{Descriptor, Manifest, choose},
    connection::Connection,
    digest::Digest,
    error::ImageError,
    login::{Access, Login},
    repack::MANIFEST_TYPE,
    types::{Credentials, Platform, StoreOptions},
};

const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
                        application/vnd.docker.distribution.manifest.list.v2+json, \
                        application/vnd.oci.image.manifest.v1+json, \
                        application/vnd.docker.distribution.manifest.v2+json";
const BLOB_TYPE: &str = "application/octet-stream";
const DIGEST_HEADER: &str = "docker-content-digest";
/// An index may list indexes, as some builders do; deeper nesting has no use.
const MAX_DEPTH: usize = 3;
/// What every registry takes, and few take more.
const MAX_MANIFEST: usize = 4 << 20;
const MAX_CONFIG: u64 = 8 << 20;

pub(super) struct Registry {
    connection: Connection,
    reference: Reference,
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
    answer: Response,
}

impl Registry {
    /// Proves who we are where the registry asks for it.
    pub(super) async fn connect(
        reference: Reference,
        credentials: Option<&Credentials>,
        options: &StoreOptions,
    ) -> Result<Self, ImageError> {
        Self::open(reference, credentials, options, Access::Pull).await
    }

    /// Like [`Self::connect`], with the right to write.
    pub(super) async fn connect_to_push(
        reference: Reference,
        credentials: Option<&Credentials>,
        options: &StoreOptions,
    ) -> Result<Self, ImageError> {
        Self::open(reference, credentials, options, Access::Push).await
    }

    async fn open(
        reference: Reference,
        credentials: Option<&Credentials>,
        options: &StoreOptions,
        access: Access,
    ) -> Result<Self, ImageError> {
        let login = Login::new(reference.repository(), access, credentials);
        let connection = Connection::new(reference.resolve_registry(), login, options)?;
        connection.bounded(connection.log_in()).await?;
        Ok(Self { connection, reference })
    }

    fn path(&self, rest: &str) -> String {
        format!("{}/{rest}", self.reference.repository())
    }

    pub(super) async fn has_blob(&self, digest: &Digest) -> Result<bool, ImageError> {
        let url = self.connection.url(&self.path(&format!("blobs/{digest}")))?;
        match self.connection.bounded(self.connection.ask(Method::HEAD, url, |request| request)).await {
            Ok(_) => Ok(true),
            // Nor has a repository that does not exist yet.
            Err(ImageError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends a blob, as long as the registry goes on taking it.
    pub(super) async fn send_blob(
        &self,
        digest: &Digest,
        size: u64,
        content: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), ImageError> {
        let connection = &self.connection;
        let url = connection.url(&self.path("blobs/uploads/"))?;
        // Some registries want to hear of an empty body.
        let begin = connection.ask(Method::POST, url, |request| request.header(CONTENT_LENGTH, 0));
        let begun = connection.bounded(begin).await?;
        let location = begun.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let mut url = location
            .and_then(|location| begun.url().join(location).ok())
            .ok_or_else(|| connection.failed("it does not say where to send a blob"))?;
        url.query_pairs_mut().append_pair("digest", digest.as_str());
        let (moved, watch) = tokio::sync::watch::channel(());
        let content = content.inspect(move |_| moved.send_replace(()));
        let send = connection.ask(Method::PUT, url, |request| {
            let request = request.header(CONTENT_TYPE, BLOB_TYPE).header(CONTENT_LENGTH, size);
            request.body(Body::wrap_stream(content))
        });
        connection.bounded_by_progress(send, watch).await.map(drop)
    }

    pub(super) async fn send_manifest(&self, manifest: Vec<u8>) -> Result<(), ImageError> {
        let url = self.manifest_url(&self.reference)?;
        let send = self
            .connection
            .ask(Method::PUT, url, |request| request.header(CONTENT_TYPE, MANIFEST_TYPE).body(manifest));
        self.connection.bounded(send).await.map(drop)
    }

    fn manifest_url(&self, reference: &Reference) -> Result<reqwest::Url, ImageError> {
        let name = reference.digest().or(reference.tag()).unwrap_or_default();
        self.connection.url(&self.path(&format!("manifests/{name}")))
    }

    /// Fetches the manifest for a platform, through as many indexes as it takes.
    pub(super) async fn resolve(&self, platform: &Platform) -> Result<Resolved, ImageError> {
        let mut reference = self.reference.clone();
        for _ in 0..MAX_DEPTH {
            let (bytes, digest) = self.connection.bounded(self.manifest(&reference)).await?;
            match Manifest::parse(&bytes)? {
                Manifest::Image { config, layers } => return Ok(Resolved { digest, bytes, config, layers }),
                Manifest::Index(entries) => {
                    let chosen = choose(&entries, platform)?;
                    reference = reference.clone_with_digest(chosen.digest.to_string());
                }
            }
        }
        Err(ImageError::Unsupported("indexes of indexes of indexes".into()))
    }

    async fn manifest(&self, reference: &Reference) -> Result<(Vec<u8>, Digest), ImageError> {
        let url = self.manifest_url(reference)?;
        let ask = self.connection.ask(Method::GET, url, |request| request.header(ACCEPT, ACCEPTED));
        let answer = ask.await?;
        let said = told_digest(answer.headers());
        let bytes = self.connection.whole("a manifest", answer, MAX_MANIFEST).await?;
        let digest = Digest::of(&bytes);
        for expected in [reference.digest(), said.as_ref().map(Digest::as_str)] {
            check_digest("manifest", expected, &digest)?;
        }
        Ok((bytes, digest))
    }

    /// A configuration, whole and verified.
    pub(super) async fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError> {
        if descriptor.size > MAX_CONFIG {
            return Err(ImageError::Unsupported(format!("a configuration of {} bytes", descriptor.size)));
        }
        let mut stream = self.blob(&descriptor.digest, 0).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = self.piece(&mut stream).await? {
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
        let url = self.connection.url(&self.path(&format!("blobs/{digest}")))?;
        let ask = self.connection.ask(Method::GET, url, |request| match offset {
            0 => request,
            _ => request.header(RANGE, format!("bytes={offset}-")),
        });
        let answer = self.connection.bounded(ask).await?;
        let resumed = offset == 0 || answer.status() == StatusCode::PARTIAL_CONTENT;
        Ok(BlobStream { resumed, answer })
    }

    /// The next piece of a blob; `None` at its end.
    pub(super) async fn piece(&self, stream: &mut BlobStream) -> Result<Option<Bytes>, ImageError> {
        self.connection.bounded(self.connection.piece(&mut stream.answer)).await
    }
}

/// What the registry says a manifest is, if it is a digest of our kind.
fn told_digest(headers: &HeaderMap) -> Option<Digest> {
    Digest::parse(headers.get(DIGEST_HEADER)?.to_str().ok()?)
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::{Router, extract::Request, response::Redirect, routing::get, routing::post};
    use reqwest::header::{AUTHORIZATION, WWW_AUTHENTICATE};

    use super::*;
    use crate::image::reference;

    async fn serve(router: Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    #[tokio::test]
    async fn credentials_go_to_the_registry_and_not_to_where_it_sends() {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let note = |place: &'static str| {
            let sent = Arc::clone(&sent);
            move |request: &Request| {
                let is_signed = request.headers().contains_key(AUTHORIZATION);
                sent.lock().unwrap().push((place, request.method().to_string(), is_signed));
            }
        };
        let (at_blob, at_upload, away) = (note("blob"), note("upload"), note("away"));
        let elsewhere = serve(Router::new().fallback(async move |request: Request| {
            away(&request);
            "content"
        }))
        .await;
        let (redirect, location) = (format!("http://{elsewhere}/blob"), format!("http://{elsewhere}/up?x=1"));
        let asked = (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Basic realm=\"r\"")]);
        let blob = async move |request: Request| {
            at_blob(&request);
            Redirect::temporary(&redirect)
        };
        let upload = async move |request: Request| {
            at_upload(&request);
            (StatusCode::ACCEPTED, [(LOCATION, location)])
        };
        let host = serve(
            Router::new()
                .route("/v2/", get(async move || asked))
                .route("/v2/a/blobs/{digest}", get(blob))
                .route("/v2/a/blobs/uploads/", post(upload)),
        )
        .await;
        let reference = reference::parse(&format!("{host}/a:1")).unwrap();
        let credentials = Credentials::Basic { username: "ann".into(), password: "secret".into() };
        let registry =
            Registry::connect_to_push(reference, Some(&credentials), &StoreOptions::default()).await.unwrap();
        let digest = Digest::of(b"content");
        let mut stream = registry.blob(&digest, 0).await.unwrap();
        assert_eq!(registry.piece(&mut stream).await.unwrap().unwrap(), "content");
        let content = futures_util::stream::iter([Ok(Bytes::from_static(b"content"))]);
        registry.send_blob(&digest, 7, content).await.unwrap();
        let expected =
            [("blob", "GET", true), ("away", "GET", false), ("upload", "POST", true), ("away", "PUT", false)];
        let expected: Vec<_> =
            expected.iter().map(|(place, method, signed)| (*place, (*method).to_owned(), *signed)).collect();
        assert_eq!(*sent.lock().unwrap(), expected);
    }
}
