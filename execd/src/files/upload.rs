//! Receiving files: pairs of a `metadata` and a `file` part, written while they arrive.
//!
//! Memory stays flat whatever the size: one batch is collected while the one before is written, and both are used again.
//! All files of a request are put in place together at its end, or none is.

use std::collections::VecDeque;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;
use sandkeep_specs::execd::files::FileMetadata;
use tokio::task::JoinHandle;

use super::actor::{Actor, joined};
use super::attributes::Attributes;
use super::error::FileError;
use super::multipart::{Event, Multipart, MultipartError};
use super::path::resolve_for;
use super::staged::{Content, Staged};
use crate::settings::Settings;

/// Content collected before it is handed to a thread that writes it, in bytes.
const BATCH: usize = 256 * 1024;

/// Largest `metadata` part, in bytes.
const MAX_METADATA: usize = 64 * 1024;

/// Most files in one request.
const MAX_FILES: usize = 10_000;

/// Most bytes read after the closing boundary, so that the connection can be used again.
const MAX_EPILOGUE: usize = 64 * 1024;

/// Longest silence of a client that uploads.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How much of a refused upload is read and dropped, in bytes, and for how long.
const MAX_DISCARDED: usize = 64 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// Where a file goes.
struct Target {
    path: PathBuf,
    attributes: Attributes,
}

/// The part being read.
enum Part {
    None,
    Metadata(Vec<u8>),
    File(Writer),
    /// A field we know nothing of.
    Other,
}

/// An upload in progress.
struct Upload {
    actor: Actor,
    settings: Arc<Settings>,
    part: Part,
    targets: VecDeque<Target>,
    received: Vec<Content>,
}

/// Receives the files of a request with this content type and puts them in place.
///
/// # Errors
/// When the body is not as it should be, breaks off, or the file system refuses; nothing is in place then.
pub(crate) async fn receive(
    actor: Actor,
    settings: Arc<Settings>,
    content_type: &str,
    mut body: Body,
) -> Result<(), FileError> {
    let done = receive_parts(actor, settings, content_type, &mut body).await;
    if done.is_err() {
        discard(body).await;
    }
    done
}

/// Reads on for a while after an error: a client that is cut off while it sends may never see the answer.
async fn discard(mut body: Body) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > MAX_DISCARDED {
                break;
            }
        }
    };
    // Out of time is as good as read to the end.
    let _ = tokio::time::timeout(DISCARD_TIME, reading).await;
}

async fn receive_parts(
    actor: Actor,
    settings: Arc<Settings>,
    content_type: &str,
    body: &mut Body,
) -> Result<(), FileError> {
    let mut reader = Multipart::new(content_type).map_err(bad_upload)?;
    let (targets, received) = (VecDeque::new(), Vec::new());
    let mut upload = Upload { actor, settings, part: Part::None, targets, received };
    let mut epilogue = 0;
    while let Some(frame) = tokio::time::timeout(IDLE_TIMEOUT, body.frame()).await.map_err(|_| stalled())? {
        let frame = frame.map_err(|error| FileError::BadUpload(format!("the upload broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if reader.closed() {
            epilogue += data.len();
            if epilogue > MAX_EPILOGUE {
                break;
            }
            continue;
        }
        reader.push(data);
        while let Some(event) = reader.next().map_err(bad_upload)? {
            upload.event(event).await?;
        }
    }
    if !reader.closed() {
        return Err(bad_upload(MultipartError::Truncated));
    }
    upload.finish().await
}

fn stalled() -> FileError {
    FileError::BadUpload(format!("the upload stood still for {} s", IDLE_TIMEOUT.as_secs()))
}

fn bad_upload(error: MultipartError) -> FileError {
    FileError::BadUpload(error.to_string())
}

impl Upload {
    async fn event(&mut self, event: Event) -> Result<(), FileError> {
        match event {
            Event::Part(name) => self.part = self.begin(&name)?,
            Event::Data(data) => match &mut self.part {
                Part::Metadata(text) if text.len() + data.len() > MAX_METADATA => {
                    return Err(FileError::BadMetadata(format!(
                        "metadata is longer than {MAX_METADATA} bytes"
                    )));
                }
                Part::Metadata(text) => text.extend_from_slice(&data),
                Part::File(writer) => writer.write(data).await?,
                Part::Other | Part::None => {}
            },
            Event::End => match std::mem::replace(&mut self.part, Part::None) {
                Part::Metadata(text) => self.targets.push_back(self.target(text).await?),
                Part::File(writer) => self.received.push(writer.finish().await?),
                Part::Other | Part::None => {}
            },
        }
        Ok(())
    }

    fn begin(&mut self, name: &str) -> Result<Part, FileError> {
        match name {
            "metadata" if self.targets.len() + self.received.len() >= MAX_FILES => {
                Err(FileError::BadUpload(format!("more than {MAX_FILES} files in one upload")))
            }
            "metadata" => Ok(Part::Metadata(Vec::new())),
            "file" => match self.targets.pop_front() {
                Some(target) => Ok(Part::File(Writer::new(self.actor.clone(), target))),
                None => Err(FileError::BadMetadata(format!(
                    "file {} has no metadata part before it",
                    self.received.len() + 1
                ))),
            },
            _ => Ok(Part::Other),
        }
    }

    /// Reads a `metadata` part: what is wrong with it is said before any content has been taken.
    async fn target(&self, text: Vec<u8>) -> Result<Target, FileError> {
        let number = self.received.len() + self.targets.len() + 1;
        let wrong = |what: String| FileError::BadMetadata(format!("metadata of file {number}: {what}"));
        let read: FileMetadata = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        let path = resolve_for(&self.actor, read.path.as_bytes(), &self.settings);
        let path = path.map_err(|error| wrong(error.to_string()))?;
        let attributes = self.actor.run(move || Attributes::parse(&read.permission)).await;
        Ok(Target { path, attributes: attributes.map_err(|error| wrong(error.to_string()))? })
    }

    async fn finish(self) -> Result<(), FileError> {
        if !self.targets.is_empty() {
            let (files, metadata) = (self.received.len(), self.received.len() + self.targets.len());
            return Err(match files {
                0 => FileError::BadContent("the upload has no file part".to_owned()),
                _ => FileError::BadUpload(format!("{metadata} metadata parts but {files} file parts")),
            });
        }
        if self.received.is_empty() {
            return Err(FileError::BadMetadata("the upload has no metadata part".to_owned()));
        }
        let received = self.received;
        self.actor.run(move || received.into_iter().try_for_each(Content::commit)).await
    }
}

/// A file before and after its first write.
enum Place {
    Planned(Target),
    Open(Staged),
}

/// Writes one file.
struct Writer {
    actor: Actor,
    /// Copied out of the frames: the connection's buffer must be free before anything is waited for, or it takes another
    /// one, and fresh memory costs more than copying.
    batch: Vec<u8>,
    /// Absent while a batch is being written.
    place: Option<Place>,
    writing: Option<JoinHandle<Result<Written, FileError>>>,
}

/// A file after a write, and the emptied batch.
struct Written {
    staged: Staged,
    batch: Vec<u8>,
}

impl Writer {
    fn new(actor: Actor, target: Target) -> Self {
        Self { actor, batch: Vec::new(), place: Some(Place::Planned(target)), writing: None }
    }

    async fn write(&mut self, data: Bytes) -> Result<(), FileError> {
        let full = self.batch.len() + data.len() >= BATCH;
        if full {
            // It grows no more.
            self.batch.reserve_exact(data.len());
        }
        self.batch.extend_from_slice(&data);
        drop(data);
        if full { self.flush().await } else { Ok(()) }
    }

    /// Begins to write the batch, once the one before is written.
    async fn flush(&mut self) -> Result<(), FileError> {
        let mut batch = Vec::new();
        if let Some(writing) = self.writing.take() {
            let written = joined(writing.await)?;
            self.place = Some(Place::Open(written.staged));
            batch = written.batch;
        }
        std::mem::swap(&mut batch, &mut self.batch);
        if let Some(place) = self.place.take() {
            let actor = self.actor.clone();
            self.writing = Some(self.actor.spawn(move || place.append(actor, batch)));
        }
        Ok(())
    }

    /// Closes the file: a request may bring thousands.
    async fn finish(mut self) -> Result<Content, FileError> {
        self.flush().await?;
        match self.writing {
            Some(writing) => Ok(joined(writing.await)?.staged.content),
            None => Err(FileError::Io("the file was not written".to_owned())),
        }
    }
}

impl Place {
    /// Writes at the file's end, making the file first if need be.
    fn append(self, actor: Actor, mut batch: Vec<u8>) -> Result<Written, FileError> {
        let mut staged = match self {
            Self::Planned(target) => Staged::create(actor, &target.path, target.attributes)?,
            Self::Open(staged) => staged,
        };
        staged.file.write_all(&batch).map_err(|error| FileError::io(staged.content.target(), error))?;
        batch.clear();
        Ok(Written { staged, batch })
    }
}
