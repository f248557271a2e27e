use super::sparse::PaxSparse;
use crate::image::error::ImageError;

/// What an extended header says about the next entry.
#[derive(Debug, Default)]
pub(super) struct PaxFields {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: Option<PaxSparse>,
}

const XATTR: &[u8] = b"SCHILY.xattr.";
const SPARSE: &[u8] = b"GNU.sparse.";

impl PaxFields {
    /// Records are `LENGTH KEY=VALUE\n`; the length rules, so that values may contain line ends.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, ImageError> {
        let mut fields = Self::default();
        while !bytes.is_empty() && bytes[0] != 0 {
            let (key, value, rest) = record(bytes).ok_or_else(|| malformed("record"))?;
            fields.set(key, value)?;
            bytes = rest;
        }
        Ok(fields)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), ImageError> {
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(integer(value).ok_or_else(|| malformed("size"))?),
            b"uid" => self.uid = Some(integer(value).ok_or_else(|| malformed("uid"))?),
            b"gid" => self.gid = Some(integer(value).ok_or_else(|| malformed("gid"))?),
            b"mtime" => self.mtime = Some(time(value).ok_or_else(|| malformed("mtime"))?),
            _ => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                } else if let Some(name) = key.strip_prefix(SPARSE) {
                    self.sparse.get_or_insert_default().set(name, value)?;
                }
            }
        }
        Ok(())
    }
}

fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().position(|&b| b == b' ')?;
    let length = usize::try_from(integer(&bytes[..space])?).ok()?;
    let body = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&b| b == b'=')?;
    Some((&body[..equals], &body[equals + 1..], &bytes[length..]))
}

pub(super) fn integer(text: &[u8]) -> Option<u64> {
    // `parse` would also take a plus sign.
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

/// `-12.5` is eleven and a half seconds before 1970, plus half a second less: nanoseconds always count forward.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    const DIGITS: usize = 9;
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match text.iter().position(|&b| b == b'.') {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &b""[..]),
    };
    let seconds = i64::try_from(integer(whole)?).ok()?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut nanos = 0;
    for i in 0..DIGITS {
        nanos = nanos * 10 + u32::from(fraction.get(i).map_or(0, |b| b - b'0'));
    }
    Some(match (negative, nanos) {
        (false, _) => (seconds, nanos),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanos),
    })
}

fn malformed(what: &str) -> ImageError {
    ImageError::Corrupt(format!("an extended tar header has a malformed {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_nanoseconds_forward() {
        assert_eq!(time(b"12"), Some((12, 0)));
        assert_eq!(time(b"12.000000001999"), Some((12, 1)));
        assert_eq!(time(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time(b"-3"), Some((-3, 0)));
        for bad in [&b""[..], b"x", b"1.x", b"--1", b"+1", b"99999999999999999999"] {
            assert_eq!(time(bad), None);
        }
    }

    #[test]
    fn lengths_must_fit() {
        assert_eq!(PaxFields::parse(b"9 path=a\n").unwrap().path.unwrap(), b"a");
        for bad in
            [&b"8 path=a\n"[..], b"99 path=a\n", b"x path=a\n", b"9 path_a\n", b"18446744073709551615 a=b\n"]
        {
            assert!(PaxFields::parse(bad).is_err(), "{:?}", String::from_utf8_lossy(bad));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = PaxFields::parse(&bytes);
        }
    }
}
