//! What must hold for any input whatever: one check per parser of untrusted bytes.
//!
//! Each check takes the bytes a fuzzer makes up and panics when the parser breaks a promise: it invents content, depends
//! on how its input was cut, leaves a range or a directory, or grows without bound. `execd/fuzz` runs them under
//! libFuzzer; the tests here replay the committed corpora.

mod env_file;
mod events;
mod glob;
mod multipart;
mod path;
mod pty_frame;
mod range;
#[cfg(test)]
mod replay;
mod tar;

pub use env_file::env_file;
pub use events::events;
pub use glob::glob;
pub use multipart::multipart;
pub use path::path;
pub use pty_frame::pty_frame;
pub use range::range;
pub use tar::tar;

/// A check.
pub type Check = fn(&[u8]);

/// All checks, under the names of their targets and corpora.
pub const CHECKS: [(&str, Check); 8] = [
    ("env_file", env_file),
    ("events", events),
    ("glob", glob),
    ("multipart", multipart),
    ("path", path),
    ("pty_frame", pty_frame),
    ("range", range),
    ("tar", tar),
];

/// The first line and what follows it: inputs of two parts.
fn two_parts(data: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'\n', data) {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[]),
    }
}

/// Sizes of pieces to cut an input into: each byte alone, everything at once, and what the input itself suggests.
fn cuts(data: &[u8]) -> [usize; 3] {
    [1, data.len().max(1), usize::from(data.first().copied().unwrap_or(7)).max(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_taken_apart_as_described() {
        assert_eq!(cuts(b""), [1, 1, 7]);
        assert_eq!(cuts(b"\x03ab"), [1, 3, 3]);
        assert_eq!(two_parts(b"a\nb\nc"), (&b"a"[..], &b"b\nc"[..]));
        assert_eq!(two_parts(b"a"), (&b"a"[..], &b""[..]));
    }
}
