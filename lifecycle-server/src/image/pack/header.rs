//! Tar headers: `ustar`, with PAX records for what does not fit.

use std::io::{self, Write};

use rustix::fs::Stat;

const BLOCK: usize = 512;
/// Largest number eleven octal digits hold.
const MAX_OCTAL: u64 = 0o777_7777_7777;
const MAX_NAME: usize = 100;
/// Two empty blocks end an archive.
const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    HardLink,
    Symlink,
    Directory,
    Fifo,
}

/// One entry to be written.
#[derive(Debug, Clone)]
pub(in crate::image) struct Entry {
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Seconds, and nanoseconds that count forward.
    pub(super) mtime: (i64, u32),
    /// Bytes that follow in the archive.
    pub(super) size: u64,
    pub(super) link: Vec<u8>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Size of a file whose holes are left out; its map is part of what follows.
    pub(super) sparse: Option<u64>,
}

impl Entry {
    /// A file of `size` bytes that belongs to root.
    pub(in crate::image) fn file(path: &str, size: u64) -> Self {
        Self {
            path: path.as_bytes().to_vec(),
            kind: Kind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: (0, 0),
            size,
            link: Vec::new(),
            xattrs: Vec::new(),
            sparse: None,
        }
    }

    /// An empty file of the owner and times stated; owners above `highest` are the host's root.
    pub(super) fn new(path: &[u8], stat: &Stat, highest: u32) -> Self {
        let id = |id: u32| if id > highest { 0 } else { id };
        Self {
            path: path.to_vec(),
            kind: Kind::File,
            mode: stat.st_mode & 0o7777,
            uid: id(stat.st_uid),
            gid: id(stat.st_gid),
            mtime: (stat.st_mtime, stat.st_mtime_nsec as u32),
            size: 0,
            link: Vec::new(),
            xattrs: Vec::new(),
            sparse: None,
        }
    }
}

pub(in crate::image) struct TarWriter<W> {
    out: W,
    /// Bytes of the present entry's last block.
    filled: usize,
}

impl<W: Write> TarWriter<W> {
    pub(in crate::image) fn new(out: W) -> Self {
        Self { out, filled: 0 }
    }

    /// Begins an entry; its content follows through [`Write`].
    pub(in crate::image) fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        self.pad()?;
        let records = records(entry);
        if !records.is_empty() {
            let extension = Entry { size: records.len() as u64, mtime: (0, 0), mode: 0o644, ..entry.clone() };
            self.out.write_all(&header(&extension, b'x', b"PaxHeader", b"")?)?;
            self.write_all(&records)?;
            self.pad()?;
        }
        let kind = match entry.kind {
            Kind::File => b'0',
            Kind::HardLink => b'1',
            Kind::Symlink => b'2',
            Kind::Directory => b'5',
            Kind::Fifo => b'6',
        };
        let mut name = entry.path.clone();
        if entry.kind == Kind::Directory {
            name.push(b'/');
        }
        self.out.write_all(&header(entry, kind, &name, &entry.link)?)
    }

    /// Fills the last block up.
    pub(super) fn pad(&mut self) -> io::Result<()> {
        if self.filled > 0 {
            self.out.write_all(&[0; BLOCK][self.filled..])?;
            self.filled = 0;
        }
        Ok(())
    }

    pub(in crate::image) fn finish(mut self) -> io::Result<W> {
        self.pad()?;
        self.out.write_all(&END)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for TarWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.filled = (self.filled + n) % BLOCK;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A header block; what does not fit is cut, as a PAX record before it says it in full.
fn header(entry: &Entry, kind: u8, name: &[u8], link: &[u8]) -> io::Result<[u8; BLOCK]> {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &name[..name.len().min(MAX_NAME)]);
    put(100, format!("{:07o}", entry.mode).as_bytes());
    put(108, format!("{:07o}", entry.uid).as_bytes());
    put(116, format!("{:07o}", entry.gid).as_bytes());
    put(124, format!("{:011o}", entry.size.min(MAX_OCTAL)).as_bytes());
    let seconds = u64::try_from(entry.mtime.0).unwrap_or(0).min(MAX_OCTAL);
    put(136, format!("{seconds:011o}").as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(157, &link[..link.len().min(MAX_NAME)]);
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

/// PAX records of whatever the header cannot say.
fn records(entry: &Entry) -> Vec<u8> {
    let mut records = Vec::new();
    let mut add = |key: &[u8], value: &[u8]| record(&mut records, key, value);
    match entry.sparse {
        None if entry.path.len() + usize::from(entry.kind == Kind::Directory) > MAX_NAME => {
            add(b"path", &entry.path);
        }
        None => {}
        Some(real_size) => {
            add(b"GNU.sparse.major", b"1");
            add(b"GNU.sparse.minor", b"0");
            add(b"GNU.sparse.name", &entry.path);
            add(b"GNU.sparse.realsize", real_size.to_string().as_bytes());
        }
    }
    if entry.link.len() > MAX_NAME {
        add(b"linkpath", &entry.link);
    }
    if entry.size > MAX_OCTAL {
        add(b"size", entry.size.to_string().as_bytes());
    }
    let (seconds, nanos) = entry.mtime;
    if nanos > 0 || seconds < 0 || seconds.unsigned_abs() > MAX_OCTAL {
        add(b"mtime", time(seconds, nanos).as_bytes());
    }
    for (name, value) in &entry.xattrs {
        add(&[b"SCHILY.xattr.", name.as_slice()].concat(), value);
    }
    records
}

fn time(seconds: i64, nanos: u32) -> String {
    match seconds < 0 && nanos > 0 {
        true => format!("-{}.{:09}", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanos),
        false => format!("{seconds}.{nanos:09}"),
    }
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} ").as_bytes());
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_count_their_own_digits() {
        for length in [1, 4, 5, 6, 92, 93, 94, 95, 990, 991, 992, 993] {
            let mut records = Vec::new();
            record(&mut records, b"k", &vec![b'v'; length]);
            let stated: usize =
                std::str::from_utf8(&records).unwrap().split_once(' ').unwrap().0.parse().unwrap();
            assert_eq!(stated, records.len(), "{length}");
        }
    }

    #[test]
    fn times_before_1970_count_backwards() {
        assert_eq!(time(-13, 500_000_000), "-12.500000000");
        assert_eq!(time(-13, 0), "-13.000000000");
        assert_eq!(time(1, 5), "1.000000005");
    }
}
