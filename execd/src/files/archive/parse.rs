//! Reading a tar stream as it arrives, cut anywhere: POSIX and GNU headers with their extensions.

use std::fmt::Display;

use tar::{EntryType, Header, PaxExtensions};

use crate::files::error::FileError;

/// Size of a header, and what content is padded to.
const BLOCK: usize = 512;

/// Longest extension header, in bytes: names are not longer.
const MAX_EXTENSION: u64 = 64 * 1024;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    Fifo,
    Character,
    Block,
}

/// One entry; the content of a file follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    /// Permission bits.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Unix seconds.
    pub(crate) modified: i64,
    /// Bytes of content; 0 for all but files.
    pub(crate) size: u64,
    /// What a link points at.
    pub(crate) link: Vec<u8>,
    /// Major and minor number of a device.
    pub(crate) device: (u32, u32),
}

/// Takes what a stream holds.
pub(crate) trait Sink {
    /// An entry begins.
    fn entry(&mut self, entry: Entry) -> Result<(), FileError>;
    /// The next part of its content.
    fn data(&mut self, data: &[u8]) -> Result<(), FileError>;
    /// It is complete.
    fn end(&mut self) -> Result<(), FileError>;
}

/// What long names and the like say about the entry that follows.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    modified: Option<i64>,
}

enum State {
    Header(Vec<u8>),
    Content { left: u64, padding: u64 },
    Extension { kind: EntryType, text: Vec<u8>, left: u64, padding: u64 },
    Padding(u64),
    End,
}

/// Reads a stream piece by piece.
pub(crate) struct Reader {
    state: State,
    next: Extensions,
    /// Bytes read, to say where something is wrong.
    offset: u64,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { state: State::Header(Vec::new()), next: Extensions::default(), offset: 0 }
    }

    /// Reads on.
    ///
    /// # Errors
    /// When the stream is no tar archive, or the sink refuses.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], sink: &mut impl Sink) -> Result<(), FileError> {
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                // Archives are padded to a multiple of their record size.
                State::End => return Ok(()),
                State::Header(block) => {
                    let taken = bytes.len().min(BLOCK - block.len());
                    block.extend_from_slice(&bytes[..taken]);
                    if block.len() == BLOCK {
                        let block = std::mem::take(block);
                        self.header(&block, sink)?;
                    }
                    taken
                }
                State::Content { left, .. } => {
                    let taken = at_most(bytes, *left);
                    sink.data(&bytes[..taken])?;
                    *left -= taken as u64;
                    taken
                }
                State::Extension { text, left, .. } => {
                    let taken = at_most(bytes, *left);
                    text.extend_from_slice(&bytes[..taken]);
                    *left -= taken as u64;
                    taken
                }
                State::Padding(left) => {
                    let taken = at_most(bytes, *left);
                    *left -= taken as u64;
                    taken
                }
            };
            bytes = &bytes[taken..];
            self.offset += taken as u64;
            self.advance(sink)?;
        }
        Ok(())
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// When the archive has not.
    pub(crate) fn finish(&self) -> Result<(), FileError> {
        match self.state {
            State::End => Ok(()),
            _ => Err(self.wrong("it breaks off")),
        }
    }

    /// Leaves states that have nothing left to read.
    fn advance(&mut self, sink: &mut impl Sink) -> Result<(), FileError> {
        match &mut self.state {
            State::Content { left: 0, padding } => {
                self.state = State::Padding(*padding);
                sink.end()?;
            }
            State::Extension { kind, text, left: 0, padding } => {
                let (kind, text, padding) = (*kind, std::mem::take(text), *padding);
                self.state = State::Padding(padding);
                self.extend(kind, &text)?;
            }
            _ => {}
        }
        if let State::Padding(0) = self.state {
            self.state = State::Header(Vec::new());
        }
        Ok(())
    }

    fn header(&mut self, block: &[u8], sink: &mut impl Sink) -> Result<(), FileError> {
        if block.iter().all(|byte| *byte == 0) {
            self.state = State::End;
            return Ok(());
        }
        let offset = self.offset;
        let header = Header::from_byte_slice(block);
        let sum = block.iter().enumerate().map(|(at, byte)| match at {
            // The sum itself counts as spaces.
            148..156 => u32::from(b' '),
            _ => u32::from(*byte),
        });
        if header.cksum().ok() != Some(sum.sum()) {
            return Err(wrong(offset, "a header's checksum does not fit"));
        }
        let bad = |_| wrong(offset, "a header holds a number that is none");
        let size = header.entry_size().map_err(bad)?;
        let padding = size.wrapping_neg() % BLOCK as u64;
        // Fields left blank mean 0.
        let number = |field: &[u8], value: std::io::Result<u64>| match field {
            field if field.iter().all(|byte| matches!(byte, 0 | b' ')) => Ok(0),
            _ => value.map_err(bad),
        };
        let mode = number(&header.as_old().mode, header.mode().map(u64::from))?;
        let modified = number(&header.as_old().mtime, header.mtime())?;
        let kind = match header.entry_type() {
            kind @ (EntryType::GNULongName
            | EntryType::GNULongLink
            | EntryType::XHeader
            | EntryType::XGlobalHeader) => {
                if size > MAX_EXTENSION {
                    return Err(wrong(offset, format!("an extension is longer than {MAX_EXTENSION} bytes")));
                }
                self.state = State::Extension { kind, text: Vec::new(), left: size, padding };
                return self.advance(sink);
            }
            EntryType::Regular if header.path_bytes().ends_with(b"/") => Kind::Directory,
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink,
            EntryType::Link => Kind::HardLink,
            EntryType::Fifo => Kind::Fifo,
            EntryType::Char => Kind::Character,
            EntryType::Block => Kind::Block,
            other => {
                let other = char::from(other.as_byte());
                return Err(wrong(offset, format!("entries of type {other:?} are not supported")));
            }
        };
        let next = std::mem::take(&mut self.next);
        let size = if kind == Kind::File { next.size.unwrap_or(size) } else { 0 };
        let id = |number: u64| u32::try_from(number).ok().filter(|id| *id != u32::MAX);
        let owner = |number| id(number).ok_or_else(|| wrong(offset, "an owner's number is out of range"));
        let device = |number: std::io::Result<Option<u32>>| number.ok().flatten().unwrap_or(0);
        let entry = Entry {
            path: next.path.unwrap_or_else(|| header.path_bytes().into_owned()),
            kind,
            mode: u32::try_from(mode & 0o7777).unwrap_or_default(),
            uid: owner(next.uid.map_or_else(|| number(&header.as_old().uid, header.uid()), Ok)?)?,
            gid: owner(next.gid.map_or_else(|| number(&header.as_old().gid, header.gid()), Ok)?)?,
            modified: next.modified.unwrap_or(i64::try_from(modified).unwrap_or(i64::MAX)),
            size,
            link: next.link.or_else(|| header.link_name_bytes().map(Into::into)).unwrap_or_default(),
            device: (device(header.device_major()), device(header.device_minor())),
        };
        self.state = State::Content { left: size, padding: size.wrapping_neg() % BLOCK as u64 };
        sink.entry(entry)?;
        self.advance(sink)
    }

    /// Keeps what an extension says for the entry that follows.
    fn extend(&mut self, kind: EntryType, text: &[u8]) -> Result<(), FileError> {
        let name = || text.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        match kind {
            EntryType::GNULongName => self.next.path = Some(name()),
            EntryType::GNULongLink => self.next.link = Some(name()),
            EntryType::XHeader => {
                for record in PaxExtensions::new(text) {
                    let record = record.map_err(|_| self.wrong("an extended header is malformed"))?;
                    let value = record.value_bytes();
                    let number = || std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                    let needed = || number().ok_or_else(|| self.wrong("an extended header's number is none"));
                    match record.key_bytes() {
                        b"path" => self.next.path = Some(value.to_vec()),
                        b"linkpath" => self.next.link = Some(value.to_vec()),
                        b"size" => self.next.size = Some(needed()?),
                        b"uid" => self.next.uid = Some(needed()?),
                        b"gid" => self.next.gid = Some(needed()?),
                        b"mtime" => self.next.modified = seconds(value),
                        key if key.starts_with(b"GNU.sparse.") => {
                            return Err(self.wrong("sparse files are not supported"));
                        }
                        _ => {}
                    }
                }
            }
            // Defaults for all entries, of which none concerns us.
            _ => {}
        }
        Ok(())
    }

    fn wrong(&self, what: impl Display) -> FileError {
        wrong(self.offset, what)
    }
}

fn wrong(offset: u64, what: impl Display) -> FileError {
    FileError::Invalid(format!("the body is not a tar archive we can read: {what} (near byte {offset})"))
}

fn at_most(bytes: &[u8], left: u64) -> usize {
    bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX))
}

/// Whole seconds of a decimal number.
fn seconds(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tar::Builder;

    use super::*;

    #[derive(Default, PartialEq, Debug)]
    struct Collected(Vec<(Entry, Vec<u8>, bool)>);

    impl Sink for Collected {
        fn entry(&mut self, entry: Entry) -> Result<(), FileError> {
            self.0.push((entry, Vec::new(), false));
            Ok(())
        }
        fn data(&mut self, data: &[u8]) -> Result<(), FileError> {
            self.0.last_mut().unwrap().1.extend_from_slice(data);
            Ok(())
        }
        fn end(&mut self) -> Result<(), FileError> {
            self.0.last_mut().unwrap().2 = true;
            Ok(())
        }
    }

    fn sample() -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        let long = "d".repeat(90) + "/" + &"f".repeat(120);
        for (path, content) in [("a", &b"one"[..]), (&long, &[7; 1024]), ("empty", b"")] {
            let mut header = Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o100_640);
            header.set_uid(3_000_000);
            header.set_mtime(1_700_000_000);
            builder.append_data(&mut header, path, content).unwrap();
        }
        let pax = [("mtime", &b"12.75"[..]), ("uid", b"77"), ("path", b"renamed")];
        builder.append_pax_extensions(pax).unwrap();
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "l", "target").unwrap();
        builder.into_inner().unwrap()
    }

    fn read(bytes: &[u8], chunk: usize) -> Result<Collected, FileError> {
        let (mut reader, mut collected) = (Reader::new(), Collected::default());
        for part in bytes.chunks(chunk) {
            reader.feed(part, &mut collected)?;
        }
        reader.finish().map(|()| collected)
    }

    #[test]
    fn reads_names_numbers_and_content() {
        let Collected(read) = read(&sample(), usize::MAX).unwrap();
        assert!(read.iter().all(|(.., complete)| *complete));
        assert_eq!((read[0].0.path.as_slice(), read[0].1.as_slice()), (&b"a"[..], &b"one"[..]));
        assert_eq!((read[0].0.mode, read[0].0.uid, read[0].0.modified), (0o640, 3_000_000, 1_700_000_000));
        assert_eq!((read[1].0.path.len(), read[1].1.len()), (211, 1024));
        let link = &read[3].0;
        assert_eq!((link.path.as_slice(), link.link.as_slice()), (&b"renamed"[..], &b"target"[..]));
        assert_eq!((link.kind, link.uid, link.modified), (Kind::Symlink, 77, 12));
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        let whole = sample();
        let mut wrong = whole.clone();
        wrong[3] ^= 1;
        assert!(matches!(read(&wrong, 100), Err(FileError::Invalid(_))));
        assert!(read(&whole[..700], 100).is_err());
        assert!(read(b"", 1).is_err());
        assert!(read(&[b'x'; 512], 512).is_err());
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(chunk in 1usize..1500) {
            prop_assert_eq!(read(&sample(), chunk).unwrap(), read(&sample(), usize::MAX).unwrap());
        }

        #[test]
        fn never_panics(at in 0usize..4096, byte in any::<u8>(), chunk in 1usize..600) {
            let mut bytes = sample();
            let at = at % bytes.len();
            bytes[at] = byte;
            // With a right sum the changed field itself is looked at.
            let start = at / 512 * 512;
            let sum: u32 = bytes[start..start + 512].iter().enumerate()
                .map(|(i, b)| if (148..156).contains(&i) { 32 } else { u32::from(*b) }).sum();
            bytes[start + 148..start + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            let _ = read(&bytes, chunk);
        }
    }
}
