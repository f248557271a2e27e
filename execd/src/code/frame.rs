//! The channel to an interpreter's driver: frames of four bytes of length, little-endian, and content.

use std::collections::BTreeMap;

use sandkeep_specs::execd::event::ExecutionError;
use serde_json::Value;
use thiserror::Error;

/// Longest frame taken from a driver, in bytes. Drivers cut what they send well below it.
const MAX_FRAME: usize = 64 * 1024 * 1024;

/// Marks the length of a frame that holds changes of the environment. No code is that long.
const CHANGES: u32 = 1 << 31;

/// Room kept in the buffer between frames, in bytes.
const KEPT: usize = 64 * 1024;

/// What a driver says.
#[derive(Debug, PartialEq)]
pub(crate) enum Report {
    /// The code begins; from now on it can be interrupted.
    Started,
    /// A value, by MIME type.
    Value(BTreeMap<String, Value>),
    /// The code failed.
    Failed(ExecutionError),
    /// The run is over.
    Done,
}

/// What came is no frame of ours.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("the interpreter's driver sent something unreadable")]
pub(crate) struct Garbled;

/// The frame that makes a driver run this code.
pub(crate) fn run(code: &str) -> Vec<u8> {
    let length = u32::try_from(code.len()).unwrap_or(u32::MAX);
    [&length.to_le_bytes(), code.as_bytes()].concat()
}

/// The frame that makes Python's driver change its environment.
pub(crate) fn change(changes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(changes.len()).unwrap_or(u32::MAX) | CHANGES;
    [&length.to_le_bytes(), changes].concat()
}

/// Cuts what a driver sends into reports.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    buffer: Vec<u8>,
}

impl Decoder {
    /// Where received bytes are appended.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// The next report; `None` when it has not arrived completely.
    ///
    /// # Errors
    /// When the driver sends something else.
    pub(crate) fn next(&mut self) -> Result<Option<Report>, Garbled> {
        let Some((length, rest)) = self.buffer.split_first_chunk() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_FRAME {
            return Err(Garbled);
        }
        let Some(content) = rest.get(..length) else { return Ok(None) };
        let report = parse(content)?;
        self.buffer.drain(..4 + length);
        if self.buffer.is_empty() {
            self.buffer.shrink_to(KEPT);
        }
        Ok(Some(report))
    }
}

fn parse(content: &[u8]) -> Result<Report, Garbled> {
    let (kind, rest) = content.split_first().ok_or(Garbled)?;
    let fields = fields(rest)?;
    match kind {
        b'S' => Ok(Report::Started),
        b'D' => Ok(Report::Done),
        b'V' => Ok(Report::Value(fields.chunks_exact(3).map(member).collect())),
        b'E' => match fields.as_slice() {
            [ename, evalue, traceback @ ..] => Ok(Report::Failed(ExecutionError {
                ename: text(ename),
                evalue: text(evalue),
                traceback: traceback.iter().map(|line| text(line)).collect(),
            })),
            _ => Err(Garbled),
        },
        _ => Err(Garbled),
    }
}

/// A form of a value: a flag that says whether it is JSON, the MIME type, the content.
fn member(entry: &[&[u8]]) -> (String, Value) {
    let content = match entry[0] {
        b"j" => serde_json::from_slice(entry[2]).unwrap_or_else(|_| Value::String(text(entry[2]))),
        _ => Value::String(text(entry[2])),
    };
    (text(entry[1]), content)
}

fn fields(mut rest: &[u8]) -> Result<Vec<&[u8]>, Garbled> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk().ok_or(Garbled)?;
        let (field, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or(Garbled)?;
        fields.push(field);
        rest = after;
    }
    Ok(fields)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
        let mut content = vec![kind];
        for field in fields {
            content.extend_from_slice(&(field.len() as u32).to_le_bytes());
            content.extend_from_slice(field);
        }
        [&(content.len() as u32).to_le_bytes(), content.as_slice()].concat()
    }

    fn decode(bytes: &[u8], chunk: usize) -> Result<Vec<Report>, Garbled> {
        let (mut decoder, mut reports) = (Decoder::default(), Vec::new());
        for part in bytes.chunks(chunk) {
            decoder.buffer().extend_from_slice(part);
            while let Some(report) = decoder.next()? {
                reports.push(report);
            }
        }
        assert!(decoder.buffer.len() < bytes.len().max(1));
        Ok(reports)
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(name in any::<String>(), message in any::<String>(), lines in proptest::collection::vec(any::<String>(), 0..4), chunk in 1usize..20) {
            let fields: Vec<&[u8]> = [&name, &message].into_iter().chain(&lines).map(|s| s.as_bytes()).collect();
            let bytes = [frame(b'S', &[]), frame(b'E', &fields), frame(b'D', &[])].concat();
            let failed = ExecutionError { ename: name.clone(), evalue: message.clone(), traceback: lines.clone() };
            prop_assert_eq!(decode(&bytes, chunk), Ok(vec![Report::Started, Report::Failed(failed), Report::Done]));
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder { buffer: bytes };
            while let Ok(Some(_)) = decoder.next() {}
        }
    }

    #[test]
    fn values_by_mime_type() {
        let bytes = frame(
            b'V',
            &[b"t", b"text", b"1", b"j", b"application/json", b"{\"a\":[1]}", b"j", b"x/y", b"{"],
        );
        let Ok(reports) = decode(&bytes, 1000) else { panic!("not decoded") };
        let [Report::Value(found)] = reports.as_slice() else { panic!("{reports:?}") };
        assert_eq!(
            serde_json::to_string(found).unwrap(),
            r#"{"application/json":{"a":[1]},"text":"1","x/y":"{"}"#
        );
    }

    #[test]
    fn absurd_lengths_are_refused() {
        assert_eq!(decode(&[0xff; 8], 8), Err(Garbled));
        assert_eq!(decode(&frame(b'E', &[b"only a name"]), 100), Err(Garbled));
    }
}
