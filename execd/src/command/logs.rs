//! Reading a background command's output.

use std::{
    convert::Infallible,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::lines::unfinished_character;

/// Bytes read and sent at once.
const CHUNK_BYTES: u64 = 128 * 1024;

/// A part of an output file; as a body it is read while it is sent.
#[derive(Debug)]
pub struct Logs {
    file: File,
    at: u64,
    end: u64,
    /// Offset to ask for next.
    pub cursor: u64,
}

impl Logs {
    /// The output from `cursor` to what is there now. Of a command that still runs, a character whose end is yet to
    /// be written stays for the next time.
    pub(super) fn open(path: &Path, cursor: u64, ended: bool) -> io::Result<Self> {
        Self::open_at_most(path, cursor, ended, u64::MAX)
    }

    /// The same, but no more than this many bytes.
    pub(crate) fn open_at_most(path: &Path, cursor: u64, ended: bool, most: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let there = file.metadata()?.len().max(cursor);
        let mut end = there.min(cursor.saturating_add(most));
        if (!ended || end < there) && end > cursor {
            let mut tail = [0; 4];
            let length = (end - cursor).min(4);
            let tail = &mut tail[..usize::try_from(length).unwrap_or(4)];
            file.read_exact_at(tail, end - length)?;
            end -= unfinished_character(tail) as u64;
        }
        Ok(Self { file, at: cursor, end, cursor: end })
    }
}

impl Body for Logs {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let length = (this.end - this.at).min(CHUNK_BYTES);
        let mut chunk = vec![0; usize::try_from(length).unwrap_or(0)];
        // Somebody in the sandbox may have cut the file short; then there is nothing more to send.
        let count = this.file.read_at(&mut chunk, this.at).unwrap_or(0);
        if count == 0 {
            return Poll::Ready(None);
        }
        this.at += count as u64;
        chunk.truncate(count);
        Poll::Ready(Some(Ok(Frame::data(chunk.into()))))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn read(content: &[u8], cursor: u64, ended: bool) -> (Vec<u8>, u64) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("output");
        std::fs::write(&path, content).unwrap();
        let logs = Logs::open(&path, cursor, ended).unwrap();
        let next = logs.cursor;
        (logs.collect().await.unwrap().to_bytes().to_vec(), next)
    }

    #[tokio::test]
    async fn cursors_are_byte_offsets() {
        assert_eq!(read(b"hello", 0, false).await, (b"hello".to_vec(), 5));
        assert_eq!(read(b"hello", 2, false).await, (b"llo".to_vec(), 5));
        assert_eq!(read(b"hello", 5, false).await, (vec![], 5));
        assert_eq!(read(b"hello", 99, false).await, (vec![], 99));
        assert_eq!(read(b"", 0, true).await, (vec![], 0));
    }

    #[tokio::test]
    async fn a_running_command_keeps_back_half_a_character() {
        assert_eq!(read(b"caf\xc3", 0, false).await, (b"caf".to_vec(), 3));
        assert_eq!(read(b"caf\xc3", 0, true).await, (b"caf\xc3".to_vec(), 4));
        assert_eq!(read(b"caf\xc3", 3, false).await, (vec![], 3));
        assert_eq!(read("café".as_bytes(), 3, false).await, ("é".as_bytes().to_vec(), 5));
    }

    #[test]
    fn an_answer_may_be_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("output");
        std::fs::write(&path, "abécd").unwrap();
        let cursor = |from, most| Logs::open_at_most(&path, from, true, most).unwrap().cursor;
        // Three bytes would end inside a character.
        assert_eq!([cursor(0, 2), cursor(0, 3), cursor(0, 4), cursor(4, 9)], [2, 2, 4, 6]);
    }

    #[tokio::test]
    async fn long_output_comes_in_parts() {
        let content = vec![b'x'; 300 * 1024];
        assert_eq!(read(&content, 1, true).await.0.len(), content.len() - 1);
    }
}
