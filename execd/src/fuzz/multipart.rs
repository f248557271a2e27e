//! Multipart bodies.

use bytes::Bytes;

use super::{cuts, two_parts};
use crate::files::multipart::{Event, Multipart, MultipartError};

type Parts = Vec<(String, Vec<u8>)>;

/// A content type in the first line, a body in the rest: parts are the same however the body is cut, have no more
/// content than the body, and survive being written again.
///
/// # Panics
/// When that does not hold.
pub fn multipart(data: &[u8]) {
    let (content_type, body) = two_parts(data);
    let Ok(content_type) = str::from_utf8(content_type) else { return };
    let [one, whole, other] = cuts(body);
    let parts = read(content_type, body, whole);
    for size in [one, other] {
        assert_eq!(read(content_type, body, size), parts, "in pieces of {size}");
    }
    let Ok(parts) = parts else { return };
    let content: usize = parts.iter().map(|(_, content)| content.len()).sum();
    assert!(content <= body.len(), "more content than body");
    let boundary = "a boundary that no fuzzer finds: 7d02e9d0c8f14";
    let again =
        read(&format!("multipart/form-data; boundary=\"{boundary}\""), &write(&parts, boundary), whole);
    assert_eq!(again, Ok(parts));
}

fn read(content_type: &str, body: &[u8], size: usize) -> Result<Parts, MultipartError> {
    let mut reader = Multipart::new(content_type)?;
    let (mut parts, mut open) = (Parts::new(), false);
    for piece in body.chunks(size) {
        reader.push(Bytes::copy_from_slice(piece));
        while let Some(event) = reader.next()? {
            match event {
                Event::Part(name) => {
                    assert!(!open, "a part begins inside another one");
                    open = true;
                    parts.push((name, Vec::new()));
                }
                Event::Data(data) => {
                    assert!(open && !data.is_empty(), "content outside a part, or none");
                    parts.last_mut().expect("a part is open").1.extend_from_slice(&data);
                }
                Event::End => {
                    assert!(open, "an end without a part");
                    open = false;
                }
            }
        }
    }
    if reader.closed() { Ok(parts) } else { Err(MultipartError::Truncated) }
}

fn write(parts: &Parts, boundary: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in parts {
        let name = name.replace('\\', "\\\\").replace('"', "\\\"");
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; filename=\"f\"; name=\"{name}\"\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body
}
