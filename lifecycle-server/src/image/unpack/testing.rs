//! Archives for tests, hostile ones included, made byte by byte.

use tar::{EntryType, Header};

/// One header block with the name taken literally.
pub(in crate::image) fn header(name: &str, kind: u8, size: u64) -> Vec<u8> {
    let mut header = Header::new_gnu();
    let bytes = name.as_bytes();
    header.as_old_mut().name[..bytes.len()].copy_from_slice(bytes);
    header.set_entry_type(EntryType::new(kind));
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_000_000_000);
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[derive(Default)]
pub(in crate::image) struct TarBuilder {
    bytes: Vec<u8>,
}

impl TarBuilder {
    pub(in crate::image) fn new() -> Self {
        Self::default()
    }

    pub(in crate::image) fn finish(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.extend([0; 1024]);
        bytes
    }

    pub(in crate::image) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend(bytes);
        let padding = self.bytes.len().next_multiple_of(512);
        self.bytes.resize(padding, 0);
        self
    }

    pub(in crate::image) fn file(&mut self, name: &str, content: &[u8]) -> &mut Self {
        self.raw(&header(name, b'0', content.len() as u64)).raw(content)
    }

    pub(in crate::image) fn dir(&mut self, name: &str) -> &mut Self {
        self.entry(name, b'5', |h| h.set_mode(0o755))
    }

    pub(in crate::image) fn symlink(&mut self, name: &str, target: &str) -> &mut Self {
        self.link(name, b'2', target)
    }

    pub(in crate::image) fn hard_link(&mut self, name: &str, target: &str) -> &mut Self {
        self.link(name, b'1', target)
    }

    fn link(&mut self, name: &str, kind: u8, target: &str) -> &mut Self {
        self.entry(name, kind, |h| {
            h.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        })
    }

    /// An entry without content.
    pub(in crate::image) fn entry(
        &mut self,
        name: &str,
        kind: u8,
        change: impl FnOnce(&mut Header),
    ) -> &mut Self {
        self.entry_with(name, kind, &[], change)
    }

    pub(in crate::image) fn entry_with(
        &mut self,
        name: &str,
        kind: u8,
        content: &[u8],
        change: impl FnOnce(&mut Header),
    ) -> &mut Self {
        let mut header = Header::from_byte_slice(&header(name, kind, content.len() as u64)).clone();
        change(&mut header);
        header.set_cksum();
        self.raw(header.as_bytes()).raw(content)
    }

    pub(in crate::image) fn gnu_long_name(&mut self, name: &str) -> &mut Self {
        let bytes = [name.as_bytes(), b"\0"].concat();
        self.raw(&header("././@LongLink", b'L', bytes.len() as u64)).raw(&bytes)
    }

    pub(in crate::image) fn pax(&mut self, records: &[(&str, &[u8])]) -> &mut Self {
        let mut body = Vec::new();
        for (key, value) in records {
            // The length counts its own digits.
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length += 1;
            }
            body.extend(format!("{length} {key}=").as_bytes());
            body.extend(*value);
            body.push(b'\n');
        }
        self.raw(&header("PaxHeaders/x", b'x', body.len() as u64)).raw(&body)
    }
}
