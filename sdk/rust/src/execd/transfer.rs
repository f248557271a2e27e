//! File contents on their way in and out.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _};
use reqwest::Response;
use reqwest::multipart::{Form, Part};
use sandkeep_specs::execd::files::{FileMetadata, Permission};
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

use crate::transport::{Http, Stalled, within};
use crate::{Error, Result};

/// Bytes read from a local file at a time.
const CHUNK: usize = 256 * 1024;

/// How long a program whose output is followed may print nothing.
const SILENCE: Duration = Duration::from_secs(24 * 3600);

/// A file's content as it arrives.
pub struct ByteStream {
    http: Http,
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    length: Option<u64>,
    idle: Duration,
}

impl ByteStream {
    /// Bytes that come when a program prints some; it may be silent for long.
    pub(crate) fn of_output(http: &Http, response: Response) -> Self {
        Self { idle: SILENCE, ..Self::new(http, response) }
    }

    pub(crate) fn new(http: &Http, response: Response) -> Self {
        let length = response.content_length();
        let body = response.bytes_stream().boxed();
        Self { http: http.clone(), body, length, idle: http.timeouts.idle }
    }

    /// How many bytes will come, where the daemon said so.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next piece, or nothing at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Transport`] if the connection broke, [`Error::Timeout`] after a silence longer than
    /// [`crate::Timeouts::idle`].
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        let piece = within(self.idle, "the next piece of a download", self.body.next()).await?;
        piece.transpose().map_err(|source| self.http.transport(source))
    }

    /// The rest, in memory.
    ///
    /// # Errors
    ///
    /// As of [`ByteStream::next`].
    pub async fn collect(mut self) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        while let Some(piece) = self.next().await? {
            content.extend_from_slice(&piece);
        }
        Ok(content)
    }

    /// Writes the rest to a local file and returns how many bytes that were.
    ///
    /// # Errors
    ///
    /// As of [`ByteStream::next`], and [`Error::File`] if the file cannot be written; half of it may be there.
    pub async fn save(mut self, path: &Path) -> Result<u64> {
        let failed = |source| Error::File { path: path.display().to_string(), source };
        let mut file = tokio::fs::File::create(path).await.map_err(failed)?;
        let mut written = 0;
        while let Some(piece) = self.next().await? {
            file.write_all(&piece).await.map_err(failed)?;
            written += piece.len() as u64;
        }
        file.flush().await.map_err(failed)?;
        Ok(written)
    }
}

/// A file to write in the sandbox: where, whose, and with what content.
pub struct FileSource {
    metadata: FileMetadata,
    content: BoxStream<'static, std::io::Result<Bytes>>,
    length: Option<u64>,
}

impl FileSource {
    /// A file with this content.
    #[must_use]
    pub fn bytes(path: impl Into<String>, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let length = content.len() as u64;
        Self::new(path, stream::iter([Ok(content)]).boxed(), Some(length))
    }

    /// A file with the content of a local one.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if it cannot be read.
    pub async fn local(path: impl Into<String>, from: &Path) -> Result<Self> {
        let failed = |source| Error::File { path: from.display().to_string(), source };
        let file = tokio::fs::File::open(from).await.map_err(failed)?;
        let length = file.metadata().await.map_err(failed)?.len();
        Ok(Self::new(path, ReaderStream::with_capacity(file, CHUNK).boxed(), Some(length)))
    }

    /// A file whose content comes bit by bit.
    #[must_use]
    pub fn stream<S>(path: impl Into<String>, content: S) -> Self
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        Self::new(path, content.boxed(), None)
    }

    fn new(
        path: impl Into<String>,
        content: BoxStream<'static, std::io::Result<Bytes>>,
        length: Option<u64>,
    ) -> Self {
        let metadata = FileMetadata { path: path.into(), permission: Permission::default() };
        Self { metadata, content, length }
    }

    /// Owner, group and mode of the file.
    #[must_use]
    pub fn permission(mut self, permission: Permission) -> Self {
        self.metadata.permission = permission;
        self
    }

    /// The two parts of the upload form that describe and carry the file.
    pub(super) fn add_to(self, form: Form, moved: &Stalled) -> Result<Form> {
        let metadata = serde_json::to_string(&self.metadata)
            .map_err(|error| Error::Config(format!("the file's metadata cannot be sent: {error}")))?;
        let metadata = Part::text(metadata).file_name("metadata");
        let metadata = metadata
            .mime_str("application/json")
            .map_err(|error| Error::Config(format!("the file's metadata cannot be sent: {error}")))?;
        let name = self.metadata.path.rsplit('/').next().unwrap_or_default().to_owned();
        let body = reqwest::Body::wrap_stream(moved.watch(self.content));
        let file = match self.length {
            Some(length) => Part::stream_with_length(body, length),
            None => Part::stream(body),
        };
        Ok(form.part("metadata", metadata).part("file", file.file_name(name)))
    }
}
