//! Taking an archive from a client and unpacking it while it arrives.

use std::path::PathBuf;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;
use sandkeep_specs::execd::files::ArchiveSummary;
use tokio::task::JoinHandle;

use super::parse::Reader;
use super::unpack::Unpacker;
use crate::files::actor::{Actor, joined};
use crate::files::error::FileError;

/// Bytes collected before they are handed to a thread that unpacks them.
const BATCH: usize = 256 * 1024;

/// Longest silence of a client that sends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// An archive being unpacked.
struct Unpacking {
    reader: Reader,
    unpacker: Unpacker,
}

/// Unpacks a request's body into a directory, making it if need be. What was unpacked before a failure stays.
///
/// # Errors
/// When the body is no archive, breaks off, has entries that lead out of the directory, or the file system refuses.
pub(crate) async fn receive(root: PathBuf, mut body: Body) -> Result<ArchiveSummary, FileError> {
    let actor = Actor::own();
    let begin = move || Ok(Unpacking { reader: Reader::new(), unpacker: Unpacker::new(root)? });
    let mut working: JoinHandle<Result<Unpacking, FileError>> = actor.spawn(begin);
    let (mut batch, mut length) = (Vec::new(), 0);
    loop {
        let stalled =
            || FileError::BadUpload(format!("the upload stood still for {} s", IDLE_TIMEOUT.as_secs()));
        let frame = tokio::time::timeout(IDLE_TIMEOUT, body.frame()).await.map_err(|_| stalled())?;
        if let Some(frame) = frame.transpose().map_err(broken)? {
            if let Ok(data) = frame.into_data() {
                length += data.len();
                batch.push(data);
            }
            if length < BATCH {
                continue;
            }
        } else if batch.is_empty() {
            break;
        }
        let unpacking = joined(working.await)?;
        let full: Vec<Bytes> = std::mem::take(&mut batch);
        length = 0;
        working = actor.spawn(move || unpacking.feed(&full));
    }
    let unpacking = joined(working.await)?;
    actor.run(move || unpacking.finish()).await
}

fn broken(error: axum::Error) -> FileError {
    FileError::BadUpload(format!("the upload broke off: {error}"))
}

impl Unpacking {
    fn feed(mut self, batch: &[Bytes]) -> Result<Self, FileError> {
        for data in batch {
            self.reader.feed(data, &mut self.unpacker)?;
        }
        Ok(self)
    }

    fn finish(mut self) -> Result<ArchiveSummary, FileError> {
        self.reader.finish()?;
        self.unpacker.finish()?;
        Ok(self.unpacker.summary)
    }
}
