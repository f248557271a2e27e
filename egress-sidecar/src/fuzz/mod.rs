//! What must hold for any input whatever: one check per reader of untrusted bytes.
//!
//! `egress-sidecar/fuzz` runs them under libFuzzer; the tests here replay the committed corpora.

mod bodies;
mod redact;
#[cfg(test)]
#[path = "../../../execd/src/fuzz/replay.rs"]
mod replay;

pub use self::{
    bodies::{policy, vault},
    redact::redact,
};
pub use crate::{
    dns::fuzz::message as dns,
    intercept::fuzz::{head, hello},
};

/// A check.
pub type Check = fn(&[u8]);

/// All checks, under the names of their targets and corpora.
pub const CHECKS: [(&str, Check); 6] = [
    ("dns", dns),
    ("head", head),
    ("hello", hello),
    ("policy", policy),
    ("redact", redact),
    ("vault", vault),
];

/// The first line and what follows it: inputs of two parts.
fn two_parts(data: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'\n', data) {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[]),
    }
}

/// Sizes of pieces to cut an input into: each byte alone, everything at once, and what the input itself suggests.
pub(crate) fn cuts(data: &[u8]) -> [usize; 3] {
    [1, data.len().max(1), usize::from(data.first().copied().unwrap_or(7)).max(1)]
}
