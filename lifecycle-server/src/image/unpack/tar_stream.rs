//! Reads a tar archive entry by entry.
//!
//! The field formats come from the `tar` crate. The walk is ours, for three reasons: extension headers are bounded
//! (an archive cannot ask for gigabytes of file name), extended attributes may hold any byte, newlines included, and
//! every dialect of sparse files is understood.

use std::io::{self, Read};

use tar::{EntryType, Header};

use super::{
    pax::PaxFields,
    sparse::{self, SparseMap},
};
use crate::image::error::ImageError;

pub(super) const BLOCK: usize = 512;
/// Most bytes of one extension header; the kernel allows 64 KiB of attributes per file on common file systems.
const MAX_EXTENSION: u64 = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::image) enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    Fifo,
    /// Character or block device, which no sandbox may have.
    Device,
}

#[derive(Debug, Clone)]
pub(in crate::image) struct Entry {
    /// As the archive spells it.
    pub(in crate::image) path: Vec<u8>,
    pub(in crate::image) link: Vec<u8>,
    pub(in crate::image) kind: Kind,
    /// Bytes of payload in the archive.
    pub(in crate::image) size: u64,
    pub(super) sparse: Option<SparseMap>,
    pub(in crate::image) mode: u32,
    pub(in crate::image) uid: u64,
    pub(in crate::image) gid: u64,
    /// Seconds since 1970 and nanoseconds.
    pub(in crate::image) mtime: (i64, u32),
    pub(in crate::image) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    pub(in crate::image) fn is_sparse(&self) -> bool {
        self.sparse.is_some()
    }
}

/// An archive being read; as a [`Read`] it yields the payload of the current entry.
pub(in crate::image) struct TarStream<R> {
    reader: R,
    payload: u64,
    padding: u64,
}

impl<R: Read> TarStream<R> {
    pub(in crate::image) fn new(reader: R) -> Self {
        Self { reader, payload: 0, padding: 0 }
    }

    pub(in crate::image) fn get_ref(&self) -> &R {
        &self.reader
    }

    pub(in crate::image) fn into_inner(self) -> R {
        self.reader
    }

    /// Moves to the next entry, skipping what is left of the current one; `None` at the end of the archive.
    pub(in crate::image) fn next_entry(&mut self) -> Result<Option<Entry>, ImageError> {
        let mut pax = PaxFields::default();
        let mut long_path = None;
        let mut long_link = None;
        let mut extended = false;
        loop {
            let Some(header) = self.next_header()? else {
                return match extended {
                    true => Err(ImageError::Corrupt("the archive ends after an extension header".into())),
                    false => Ok(None),
                };
            };
            let size = number(header.entry_size(), &header.as_old().size, "size")?;
            match header.entry_type() {
                EntryType::GNULongName => long_path = Some(self.extension_name(size)?),
                EntryType::GNULongLink => long_link = Some(self.extension_name(size)?),
                EntryType::XHeader => pax = PaxFields::parse(&self.extension(size)?)?,
                // Global headers carry comments (a commit id, say), nothing about files.
                EntryType::XGlobalHeader => self.begin_payload(size),
                _ => return self.finish_entry(&header, size, pax, long_path, long_link).map(Some),
            }
            extended = header.entry_type() != EntryType::XGlobalHeader;
        }
    }

    fn finish_entry(
        &mut self,
        header: &Header,
        header_size: u64,
        mut pax: PaxFields,
        long_path: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<Entry, ImageError> {
        let path = pax.path.take().or(long_path).unwrap_or_else(|| header.path_bytes().into_owned());
        let link = pax
            .link
            .take()
            .or(long_link)
            .unwrap_or_else(|| header.link_name_bytes().map(|l| l.into_owned()).unwrap_or_default());
        let kind = match header.entry_type() {
            // Before POSIX, a directory was a file whose name ends in a slash.
            EntryType::Regular | EntryType::Continuous if path.ends_with(b"/") => Kind::Directory,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink,
            EntryType::Link => Kind::HardLink,
            EntryType::Fifo => Kind::Fifo,
            EntryType::Char | EntryType::Block => Kind::Device,
            other => {
                let path = String::from_utf8_lossy(&path);
                return Err(ImageError::Unsupported(format!(
                    "entry \"{path}\" has type {:?}",
                    other.as_byte()
                )));
            }
        };
        let size = pax.size.unwrap_or(header_size);
        self.begin_payload(match kind {
            Kind::File => size,
            // Some writers repeat the size of the file a link leads to, without its content.
            Kind::HardLink | Kind::Symlink => 0,
            _ => size,
        });
        let sparse = self.sparse_map(header, &mut pax)?;
        let path = sparse.as_ref().and_then(|(_, name)| name.clone()).unwrap_or(path);
        Ok(Entry {
            path,
            link,
            kind,
            size: self.payload,
            sparse: sparse.map(|(map, _)| map),
            mode: number(header.mode(), &header.as_old().mode, "mode")?,
            uid: pax.uid.map_or_else(|| number(header.uid(), &header.as_old().uid, "uid"), Ok)?,
            gid: pax.gid.map_or_else(|| number(header.gid(), &header.as_old().gid, "gid"), Ok)?,
            mtime: pax.mtime.unwrap_or_else(|| (header.mtime().unwrap_or(0).try_into().unwrap_or(0), 0)),
            xattrs: pax.xattrs,
        })
    }

    /// The map of a sparse file, and its real name where the dialect hides it.
    #[allow(clippy::type_complexity)]
    fn sparse_map(
        &mut self,
        header: &Header,
        pax: &mut PaxFields,
    ) -> Result<Option<(SparseMap, Option<Vec<u8>>)>, ImageError> {
        if header.entry_type() == EntryType::GNUSparse {
            let gnu = header
                .as_gnu()
                .ok_or_else(|| ImageError::Corrupt("sparse entry without a GNU header".into()))?;
            let stored = self.payload;
            // Continuation blocks of the map stand before the payload and are not part of its size.
            let map = sparse::from_gnu_header(gnu, &mut self.reader)?;
            return Ok(Some((map.checked(stored)?, None)));
        }
        let Some(fields) = pax.sparse.take() else { return Ok(None) };
        let map = match fields.is_map_in_data() {
            true => {
                let map = sparse::from_data(fields.real_size()?, &mut *self)?;
                map.checked(self.payload)?
            }
            false => fields.to_map()?.checked(self.payload)?,
        };
        Ok(Some((map, fields.name)))
    }

    /// The next header block with a right checksum; `None` at the end mark or the clean end of the file.
    fn next_header(&mut self) -> Result<Option<Header>, ImageError> {
        let skip = self.payload + self.padding;
        let skipped = io::copy(&mut (&mut self.reader).take(skip), &mut io::sink()).map_err(read_error)?;
        if skipped < skip {
            return Err(truncated());
        }
        (self.payload, self.padding) = (0, 0);
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.reader.read(&mut block[filled..]).map_err(read_error)? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(truncated()),
                n => filled += n,
            }
        }
        if block == [0; BLOCK] {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block).clone();
        // The sum counts its own field as spaces; some old writers summed signed bytes.
        let (mut unsigned, mut signed) = (0_u32, 0_i32);
        for (i, &byte) in block.iter().enumerate() {
            let byte = if (148..156).contains(&i) { b' ' } else { byte };
            unsigned += u32::from(byte);
            signed += i32::from(byte as i8);
        }
        match header.cksum() {
            Ok(sum) if sum == unsigned || i64::from(sum) == i64::from(signed) => Ok(Some(header)),
            _ => Err(ImageError::Corrupt(
                "not a tar archive, or a damaged one: a header's checksum is wrong".into(),
            )),
        }
    }

    fn begin_payload(&mut self, size: u64) {
        self.payload = size;
        self.padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, ImageError> {
        if size > MAX_EXTENSION {
            return Err(ImageError::Unsupported(format!(
                "an extension header of {size} bytes (at most {MAX_EXTENSION} are read)"
            )));
        }
        self.begin_payload(size);
        let mut bytes = vec![0; size as usize];
        self.read_exact(&mut bytes).map_err(read_error)?;
        Ok(bytes)
    }

    fn extension_name(&mut self, size: u64) -> Result<Vec<u8>, ImageError> {
        let mut name = self.extension(size)?;
        if name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }
}

impl<R: Read> Read for TarStream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.payload == 0 {
            return Ok(0);
        }
        let limit = buffer.len().min(usize::try_from(self.payload).unwrap_or(usize::MAX));
        let n = self.reader.read(&mut buffer[..limit])?;
        if n == 0 && limit > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.payload -= n as u64;
        Ok(n)
    }
}

/// A field that a writer left blank is zero.
fn number<T: Default>(value: io::Result<T>, field: &[u8], name: &str) -> Result<T, ImageError> {
    match value {
        Ok(value) => Ok(value),
        Err(_) if field.iter().all(|b| matches!(b, 0 | b' ')) => Ok(T::default()),
        Err(_) => Err(ImageError::Corrupt(format!("a tar header has a malformed {name}"))),
    }
}

pub(in crate::image) fn truncated() -> ImageError {
    ImageError::Corrupt("the archive ends in the middle of an entry".into())
}

/// A failure to read: damage in the archive unless the operating system says otherwise.
pub(in crate::image) fn read_error(error: io::Error) -> ImageError {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::UnexpectedEof, _) => truncated(),
        (_, Some(_)) => ImageError::io("reading a layer", error),
        _ => ImageError::Corrupt(format!("the layer cannot be decompressed: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::unpack::testing::{TarBuilder, header};

    fn entries(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, ImageError> {
        let mut stream = TarStream::new(bytes);
        let mut found = Vec::new();
        while let Some(entry) = stream.next_entry()? {
            let mut content = Vec::new();
            stream.read_to_end(&mut content).map_err(read_error)?;
            found.push((entry, content));
        }
        Ok(found)
    }

    #[test]
    fn names_of_any_length_and_large_numbers_are_read() {
        let long = "d/".repeat(200) + "file";
        let mut tar = TarBuilder::new();
        tar.file("short", b"one").gnu_long_name(&long).file("cut", b"two").pax(&[
            ("path", long.as_bytes()),
            ("uid", b"70000"),
            ("mtime", b"12.5"),
            ("SCHILY.xattr.user.note", b"line\nbreak\0="),
        ]);
        tar.file("cut", b"three");
        let found = entries(&tar.finish()).unwrap();
        let paths: Vec<_> = found.iter().map(|(e, c)| (e.path.clone(), c.clone())).collect();
        assert_eq!(
            paths,
            [
                (b"short".to_vec(), b"one".to_vec()),
                (long.clone().into_bytes(), b"two".to_vec()),
                (long.into_bytes(), b"three".to_vec()),
            ]
        );
        let last = &found[2].0;
        assert_eq!((last.uid, last.mtime), (70000, (12, 500_000_000)));
        assert_eq!(last.xattrs, [(b"user.note".to_vec(), b"line\nbreak\0=".to_vec())]);
    }

    #[test]
    fn blank_numbers_are_zero_and_malformed_ones_are_not() {
        let with_uid = |uid: &[u8; 8]| {
            let mut tar = TarBuilder::new();
            tar.entry("a", b'0', |h| h.as_old_mut().uid = *uid);
            entries(&tar.finish()).map(|found| found[0].0.uid)
        };
        assert_eq!(with_uid(&[0; 8]).unwrap(), 0);
        assert_eq!(with_uid(b"       \0").unwrap(), 0);
        assert_eq!(with_uid(b"0000021\0").unwrap(), 17);
        assert!(with_uid(b"000x021\0").is_err());
    }

    #[test]
    fn a_huge_extension_header_is_refused_without_reading_it() {
        let mut tar = TarBuilder::new();
        tar.raw(&header("././@LongLink", b'L', 8 << 30));
        assert!(matches!(entries(&tar.finish()), Err(ImageError::Unsupported(_))));
    }

    #[test]
    fn damage_is_noticed() {
        let mut tar = TarBuilder::new();
        tar.file("a", &[7; 2000]);
        let good = tar.finish();
        assert!(entries(&good).is_ok());
        let mut flipped = good.clone();
        flipped[3] ^= 1;
        assert!(matches!(entries(&flipped), Err(ImageError::Corrupt(_))));
        for cut in [100, 600, 2000] {
            assert!(matches!(entries(&good[..cut]), Err(ImageError::Corrupt(_))), "cut at {cut}");
        }
    }
}
