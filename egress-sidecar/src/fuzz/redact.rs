//! Answers that tell secrets.

use bytes::Bytes;

use super::cuts;
use crate::vault::redact::{Redactions, Stream};

/// Short, so that a fuzzer finds their beginnings, and overlapping.
const SECRETS: [&str; 3] = ["secret-key", "key-secret", "kkkkkkkk"];

/// However an answer is cut, no secret is left in it and nothing but secrets is changed.
///
/// # Panics
/// When that does not hold.
pub fn redact(data: &[u8]) {
    let redactions = Redactions::new(SECRETS.into_iter());
    for size in cuts(data) {
        let mut stream = Stream::default();
        let mut out = Vec::new();
        for piece in data.chunks(size) {
            out.extend_from_slice(&stream.push(Bytes::copy_from_slice(piece), &redactions));
            assert!(out.len() + stream.held() >= data.len().min(out.len()), "bytes are lost");
        }
        out.extend_from_slice(&stream.flush());
        assert_eq!(out.len(), data.len());
        for secret in SECRETS {
            let found = memchr::memmem::find(&out, secret.as_bytes());
            assert!(found.is_none(), "{secret} in pieces of {size}: {:?}", String::from_utf8_lossy(&out));
        }
        let changed = out.iter().zip(data).filter(|(after, before)| after != before);
        assert!(changed.clone().all(|(after, _)| *after == b'*'), "something else than a secret is changed");
        let holds_one = SECRETS.iter().any(|secret| memchr::memmem::find(data, secret.as_bytes()).is_some());
        assert!(holds_one || changed.count() == 0, "something is changed without a secret");
    }
}
