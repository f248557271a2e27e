//! Content of files, holes left out.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
};

use rustix::{fs::seek, io::Errno};

use super::{Entry, Packer, doing};
use crate::image::error::{Context, ImageError};

const BUFFER: usize = 128 << 10;
/// The map of a sparse file is padded to whole blocks.
const BLOCK: usize = 512;

impl<W: Write> Packer<'_, W> {
    pub(super) fn file(&mut self, file: &File, mut entry: Entry) -> Result<(), ImageError> {
        let context = || doing("reading", &entry.path);
        let length = file.metadata().context(context)?.len();
        let pieces = pieces(file, length).context(context)?;
        let stored: u64 = pieces.iter().map(|(_, length)| length).sum();
        let map = (stored < length).then(|| map(&pieces));
        entry.size = stored + map.as_ref().map_or(0, |map| map.len() as u64);
        entry.sparse = map.is_some().then_some(length);
        self.write(&entry)?;
        let path = entry.path;
        if let Some(map) = map {
            self.tar.write_all(&map).context(|| doing("packing", &path))?;
        }
        let mut buffer = vec![0; BUFFER.min(usize::try_from(stored).unwrap_or(BUFFER))];
        for (offset, length) in pieces {
            self.piece(file, offset, length, &mut buffer, &path)?;
        }
        Ok(())
    }

    fn piece(
        &mut self,
        mut file: &File,
        offset: u64,
        mut length: u64,
        buffer: &mut [u8],
        path: &[u8],
    ) -> Result<(), ImageError> {
        file.seek(SeekFrom::Start(offset)).context(|| doing("reading", path))?;
        while length > 0 {
            let want = usize::try_from(length).map_or(buffer.len(), |length| length.min(buffer.len()));
            self.pace(want as u64)?;
            file.read_exact(&mut buffer[..want]).context(|| doing("reading", path))?;
            self.tar.write_all(&buffer[..want]).context(|| doing("packing", path))?;
            length -= want as u64;
        }
        Ok(())
    }
}

/// Offsets and lengths of what is not a hole.
fn pieces(file: &File, length: u64) -> std::io::Result<Vec<(u64, u64)>> {
    let mut pieces = Vec::new();
    let mut position = 0;
    while position < length {
        let start = match seek(file, rustix::fs::SeekFrom::Data(position)) {
            Err(Errno::NXIO) => break,
            // A file system without holes.
            Err(Errno::INVAL) => return Ok(vec![(0, length)]),
            other => other?,
        };
        let end = seek(file, rustix::fs::SeekFrom::Hole(start))?.min(length);
        pieces.push((start, end - start));
        position = end;
    }
    Ok(pieces)
}

/// PAX 1.0: decimal numbers, one a line.
fn map(pieces: &[(u64, u64)]) -> Vec<u8> {
    let mut text = format!("{}\n", pieces.len());
    for (offset, length) in pieces {
        text += &format!("{offset}\n{length}\n");
    }
    let mut bytes = text.into_bytes();
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}
