//! Answers that tell secrets.

use bytes::Bytes;

use super::cuts;
use crate::vault::redact::{Frames, Redactions, Stream};

/// Short, so that a fuzzer finds their beginnings, and overlapping.
const SECRETS: [&str; 3] = ["secret-key", "key-secret", "kkkkkkkk"];

/// However an answer is cut, no secret is left in it and nothing but secrets is changed.
///
/// # Panics
/// When that does not hold.
pub fn redact(data: &[u8]) {
    let redactions = Redactions::new(SECRETS.into_iter());
    let is_clean = redactions.find(data).is_empty();
    for size in cuts(data) {
        for frames in [Frames::Lines, Frames::WebSocket, Frames::Grpc] {
            let mut stream = Stream::new(frames);
            let mut out = Vec::new();
            for (at, piece) in data.chunks(size).enumerate() {
                out.extend_from_slice(&stream.push(Bytes::copy_from_slice(piece), &redactions));
                assert_eq!(out.len() + stream.waiting(), (at * size) + piece.len(), "bytes are lost");
            }
            out.extend_from_slice(&stream.finish(&redactions));
            assert_eq!(out.len(), data.len());
            let changed = out.iter().zip(data).filter(|(after, before)| after != before);
            assert!(
                changed.clone().all(|(after, _)| *after == b'*'),
                "something else than a secret is changed"
            );
            // Where a piece begins in the middle of them, backslashes pair up in another way.
            let is_paired = memchr::memmem::find(data, br"\\").is_some();
            assert!(!is_clean || is_paired || changed.count() == 0, "something is changed without a secret");
            // Messages end where their heads say, secrets or not.
            if frames != Frames::Lines {
                continue;
            }
            for secret in SECRETS {
                let found = memchr::memmem::find(&out, secret.as_bytes());
                assert!(found.is_none(), "{secret} in pieces of {size}: {:?}", String::from_utf8_lossy(&out));
            }
        }
    }
}
