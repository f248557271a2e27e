//! nf_tables messages, built by hand: a few dozen attributes are all that is needed of them.

const SUBSYSTEM: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
const NESTED: u16 = 0x8000;

/// The messages of one transaction: all take effect, or none.
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    /// Where the latest message begins.
    latest: usize,
    pub(super) first: u32,
    pub(super) last: u32,
}

impl Batch {
    /// An empty transaction whose messages count from `first`.
    pub(super) fn new(first: u32) -> Self {
        let mut batch = Self { bytes: Vec::with_capacity(4096), latest: 0, first, last: first };
        batch.header(libc::NFNL_MSG_BATCH_BEGIN as u16, 0, libc::AF_UNSPEC as u8, SUBSYSTEM);
        batch
    }

    /// Adds a message about the families of IP; `write` appends its attributes.
    pub(super) fn message(&mut self, kind: i32, flags: i32, write: impl FnOnce(&mut Attributes<'_>)) {
        self.last += 1;
        self.header((SUBSYSTEM << 8) | kind as u16, flags as u16, libc::NFPROTO_INET as u8, 0);
        write(&mut Attributes(&mut self.bytes));
        self.close();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first == self.last
    }

    /// The whole transaction. The kernel confirms its last message, after all have taken effect.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let flags = self.latest + 6;
        self.bytes[flags] |= libc::NLM_F_ACK as u8;
        self.header(libc::NFNL_MSG_BATCH_END as u16, 0, libc::AF_UNSPEC as u8, SUBSYSTEM);
        self.bytes
    }

    fn header(&mut self, kind: u16, flags: u16, family: u8, resource: u16) {
        self.latest = self.bytes.len();
        self.bytes.extend(0u32.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((libc::NLM_F_REQUEST as u16 | flags).to_ne_bytes());
        self.bytes.extend(self.last.to_ne_bytes());
        self.bytes.extend(0u32.to_ne_bytes());
        self.bytes.extend([family, 0]);
        self.bytes.extend(resource.to_be_bytes());
        self.close();
    }

    fn close(&mut self) {
        let length = (self.bytes.len() - self.latest) as u32;
        self.bytes[self.latest..self.latest + 4].copy_from_slice(&length.to_ne_bytes());
    }
}

/// Where attributes are appended.
pub(super) struct Attributes<'a>(&'a mut Vec<u8>);

impl Attributes<'_> {
    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.0.extend(((value.len() + 4) as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(super) fn long(&mut self, kind: u16, value: u64) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(super) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// An attribute whose value is what `inner` appends, at most 64 KiB.
    pub(super) fn nested(&mut self, kind: u16, inner: impl FnOnce(&mut Attributes<'_>)) -> &mut Self {
        let start = self.0.len();
        self.bytes(kind | NESTED, &[]);
        inner(&mut Attributes(self.0));
        let length = ((self.0.len() - start) as u16).to_ne_bytes();
        self.0[start..start + 2].copy_from_slice(&length);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_numbers_are_right() {
        let mut batch = Batch::new(7);
        assert!(batch.is_empty());
        batch.message(libc::NFT_MSG_NEWTABLE, libc::NLM_F_CREATE, |m| {
            m.text(1, "ab").nested(4, |m| {
                m.number(1, 5);
            });
        });
        let bytes = batch.finish();
        // Begin, the message with 8 + 4 + 8 bytes of attributes, end.
        assert_eq!(bytes.len(), 20 + (20 + 8 + 12) + 20);
        assert_eq!(bytes[20..24], 40u32.to_ne_bytes());
        assert_eq!(bytes[28..32], 8u32.to_ne_bytes());
        assert_eq!(bytes[48..50], 12u16.to_ne_bytes());
        assert_ne!(u16::from_ne_bytes([bytes[26], bytes[27]]) & libc::NLM_F_ACK as u16, 0);
    }
}
