//! One directory entry as JSON.

use std::io::Write;

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags};

use super::attributes::mode_to_digits;
use super::names::Names;

/// Looks at an entry without following a final symbolic link.
pub(crate) fn stat(dir: impl std::os::fd::AsFd, name: impl rustix::path::Arg) -> rustix::io::Result<Statx> {
    rustix::fs::statx(dir, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)
}

/// Type of the entry a [`stat`] found.
pub(crate) fn file_type(stat: &Statx) -> FileType {
    FileType::from_raw_mode(u32::from(stat.stx_mode))
}

/// Writes entries as `FileInfo` objects. What entries after each other mostly have in common is kept as text.
///
/// By hand: a search answers with tens of thousands of them, and half of that time would go into a serializer.
pub(crate) struct Writer<'a> {
    names: &'a Names,
    /// The instant to the second.
    second: Kept<i64>,
    /// User, group and mode.
    access: Kept<(u32, u32, u32)>,
}

/// A text and what it stands for.
struct Kept<T>(Option<T>, Vec<u8>);

impl<T: Copy + PartialEq> Kept<T> {
    const NOTHING: Self = Self(None, Vec::new());

    fn text(&mut self, of: T, write: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        if self.0 != Some(of) {
            self.1.clear();
            write(&mut self.1);
            self.0 = Some(of);
        }
        &self.1
    }
}

impl<'a> Writer<'a> {
    pub(crate) fn new(names: &'a Names) -> Self {
        Self { names, second: Kept::NOTHING, access: Kept::NOTHING }
    }

    /// Appends one object. The entry's path is `prefix`, the inside of a JSON string, and `name`.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, prefix: &[u8], name: &[u8], stat: &Statx) {
        let kind: &[u8] = match file_type(stat) {
            FileType::RegularFile => b"file",
            FileType::Directory => b"directory",
            FileType::Symlink => b"symlink",
            _ => b"other",
        };
        out.extend_from_slice(b"{\"path\":\"");
        out.extend_from_slice(prefix);
        escape(out, name);
        out.extend_from_slice(b"\",\"type\":\"");
        out.extend_from_slice(kind);
        out.extend_from_slice(b"\",\"size\":");
        write_number(out, stat.stx_size);
        out.extend_from_slice(b",\"modified_at\":\"");
        self.timestamp(out, stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec);
        out.extend_from_slice(b"\",\"created_at\":\"");
        self.timestamp(out, stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec);
        let (uid, gid, mode) = (stat.stx_uid, stat.stx_gid, u32::from(stat.stx_mode));
        let names = self.names;
        out.extend_from_slice(self.access.text((uid, gid, mode), |text| {
            text.extend_from_slice(b"\",\"owner\":");
            text.extend_from_slice(names.user(uid).as_bytes());
            text.extend_from_slice(b",\"group\":");
            text.extend_from_slice(names.group(gid).as_bytes());
            text.extend_from_slice(b",\"mode\":");
            write_number(text, u64::from(mode_to_digits(mode)));
            text.push(b'}');
        }));
    }

    /// Appends RFC 3339 in UTC, with microseconds: what every client language can read.
    fn timestamp(&mut self, out: &mut Vec<u8>, seconds: i64, nanos: u32) {
        out.extend_from_slice(self.second.text(seconds, |text| write_second(text, seconds)));
        digits::<6>(out, i64::from(nanos / 1000));
        out.push(b'Z');
    }
}

/// Appends bytes as a JSON string; what is not UTF-8 becomes U+FFFD.
pub(crate) fn write_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    escape(out, bytes);
    out.push(b'"');
}

/// Appends the inside of such a string.
pub(crate) fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    let plain = |b: &u8| matches!(b, 0x20..=0x7e) && *b != b'"' && *b != b'\\';
    if bytes.iter().all(plain) {
        out.extend_from_slice(bytes);
    } else {
        let quoted = serde_json::Value::from(String::from_utf8_lossy(bytes)).to_string();
        out.extend_from_slice(&quoted.as_bytes()[1..quoted.len() - 1]);
    }
}

/// Appends decimal digits.
fn write_number(out: &mut Vec<u8>, number: u64) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{number}");
}

/// Appends an instant up to the point before the fractions of its second, digit by digit.
fn write_second(out: &mut Vec<u8>, seconds: i64) {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    if (0..=9999).contains(&year) {
        digits::<4>(out, year);
    } else {
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{year:04}");
    }
    for (separator, value) in
        [(b'-', month), (b'-', day), (b'T', second / 3600), (b':', second / 60 % 60), (b':', second % 60)]
    {
        out.push(separator);
        digits::<2>(out, value);
    }
    out.push(b'.');
}

/// Appends the last `N` decimal digits of a number that is not negative.
fn digits<const N: usize>(out: &mut Vec<u8>, mut number: i64) {
    let mut text = [b'0'; N];
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&text);
}

/// Year, month and day of a day number counted from 1970-01-01, by the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years are counted from March, so that the leap day comes last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, SecondsFormat};
    use proptest::prelude::*;
    use sandkeep_specs::execd::files::{FileInfo, FileKind};

    use super::*;

    #[test]
    fn writes_what_the_wire_type_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a \"b\"\n\u{e9}");
        std::fs::write(&path, b"12345").unwrap();
        let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
        let mut out = Vec::new();
        Writer::new(&Names::read()).write(&mut out, b"", bytes, &stat(rustix::fs::CWD, &path).unwrap());
        let info: FileInfo = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            (info.path.as_str(), info.size, info.kind),
            (path.to_str().unwrap(), 5, Some(FileKind::File))
        );
        assert!(info.modified_at.timestamp() > 1_600_000_000);
    }

    proptest! {
        #[test]
        fn timestamps_agree_with_chrono(seconds in -60_000_000_000i64..250_000_000_000, nanos in 0u32..1_000_000_000) {
            let expected = DateTime::from_timestamp(seconds, nanos).unwrap();
            prop_assume!(expected.format("%Y").to_string().len() == 4);
            let names = Names::read();
            let mut writer = Writer::new(&names);
            for _ in 0..2 {
                let mut written = Vec::new();
                writer.timestamp(&mut written, seconds, nanos);
                let written = String::from_utf8(written).unwrap();
                prop_assert_eq!(written, expected.to_rfc3339_opts(SecondsFormat::Micros, true));
                writer.timestamp(&mut Vec::new(), seconds + 1, nanos);
            }
        }

        #[test]
        fn strings_are_json(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut out = Vec::new();
            write_string(&mut out, &bytes);
            let read: String = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&bytes));
        }
    }
}
