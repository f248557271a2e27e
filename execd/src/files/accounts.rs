//! Users and groups, read from the image's own files: a static program has no name service.

use std::collections::HashMap;

use sandkeep_specs::execd::files::Permission;

use super::error::FileError;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// Permission bits a request may set.
const MODE_BITS: u32 = 0o7777;

/// The user and group databases.
pub(crate) struct Accounts {
    passwd: Vec<u8>,
    group: Vec<u8>,
}

/// Owner, group and mode to give a file; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) mode: Option<u32>,
}

impl Accounts {
    /// Reads both databases; a missing one counts as empty.
    pub(crate) fn read() -> Self {
        Self {
            passwd: std::fs::read(PASSWD).unwrap_or_default(),
            group: std::fs::read(GROUP).unwrap_or_default(),
        }
    }

    fn user(&self, name: &str) -> Option<u32> {
        find(&self.passwd, name)
    }

    fn group(&self, name: &str) -> Option<u32> {
        find(&self.group, name)
    }
}

impl Attributes {
    /// Checks a request's permission and looks its names up.
    ///
    /// # Errors
    /// When a name is unknown or the mode is not octal digits.
    pub(crate) fn parse(permission: &Permission) -> Result<Self, FileError> {
        let owner = permission.owner.as_deref().filter(|name| !name.is_empty());
        let group = permission.group.as_deref().filter(|name| !name.is_empty());
        let mode = mode_from_digits(permission.mode.unwrap_or(0))?;
        if owner.is_none() && group.is_none() {
            return Ok(Self { uid: None, gid: None, mode });
        }
        let accounts = Accounts::read();
        let uid = owner.map(|name| lookup("user", name, accounts.user(name))).transpose()?;
        let gid = group.map(|name| lookup("group", name, accounts.group(name))).transpose()?;
        Ok(Self { uid, gid, mode })
    }
}

/// A name wins over a number, so that a user called `1000` can be meant.
fn lookup(kind: &str, name: &str, known: Option<u32>) -> Result<u32, FileError> {
    known
        .or_else(|| name.parse().ok().filter(|id| *id != u32::MAX))
        .ok_or_else(|| FileError::Invalid(format!("unknown {kind} {name:?}")))
}

/// Mode bits from decimal digits that are meant as octal ones: 644 is `0o644`. 0 means "leave it".
///
/// # Errors
/// When a digit is not octal or the number is out of range.
fn mode_from_digits(digits: i64) -> Result<Option<u32>, FileError> {
    if digits == 0 {
        return Ok(None);
    }
    let mode = u32::from_str_radix(&digits.to_string(), 8).ok().filter(|mode| *mode <= MODE_BITS);
    mode.map(Some)
        .ok_or_else(|| FileError::Invalid(format!("mode {digits} is not octal digits from 1 to 7777")))
}

/// The reverse: mode bits as octal digits read as a decimal number.
pub(crate) fn mode_to_digits(mode: u32) -> u32 {
    let digit = |shift: u32| (mode >> shift) & 7;
    digit(9) * 1000 + digit(6) * 100 + digit(3) * 10 + digit(0)
}

/// Names of users and groups by number, ready to be written as JSON strings.
pub(crate) struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Names {
    /// Reads the databases.
    pub(crate) fn read() -> Self {
        let accounts = Accounts::read();
        Self { users: by_number(&accounts.passwd), groups: by_number(&accounts.group) }
    }

    /// JSON string with the user's name, or the number of one without a name.
    pub(crate) fn user(&mut self, uid: u32) -> &str {
        self.users.entry(uid).or_insert_with(|| format!("\"{uid}\""))
    }

    /// JSON string with the group's name, or the number of one without a name.
    pub(crate) fn group(&mut self, gid: u32) -> &str {
        self.groups.entry(gid).or_insert_with(|| format!("\"{gid}\""))
    }
}

fn by_number(database: &[u8]) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for fields in records(database) {
        if let (Some(name), Some(id)) = (fields.first(), number(fields.get(2))) {
            // The first line for a number wins, as it does in the C library.
            names.entry(id).or_insert_with(|| serde_json::json!(String::from_utf8_lossy(name)).to_string());
        }
    }
    names
}

fn find(database: &[u8], name: &str) -> Option<u32> {
    let mut lines = records(database);
    lines.find(|fields| fields.first() == Some(&name.as_bytes())).and_then(|fields| number(fields.get(2)))
}

/// The colon-separated fields of each line that has at least three.
fn records(database: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let lines = database.split(|b| *b == b'\n').filter(|line| !line.starts_with(b"#"));
    lines.map(|line| line.split(|b| *b == b':').collect::<Vec<_>>()).filter(|fields| fields.len() >= 3)
}

fn number(field: Option<&&[u8]>) -> Option<u32> {
    str::from_utf8(field?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd: b"root:x:0:0:root:/root:/bin/bash\nbroken\n#c:x:9:9::/:\nsvc:x:7:8:a,b:/srv:/bin/sh\nsvc2:x:7:8::/:\n1000:x:5:5::/:\n"
                .to_vec(),
            group: b"root:x:0:\nwheel:x:10:root,svc\n".to_vec(),
        }
    }

    #[test]
    fn finds_users_and_groups() {
        let accounts = accounts();
        assert_eq!(accounts.user("svc"), Some(7));
        assert_eq!(accounts.user("broken"), None);
        assert_eq!(accounts.group("wheel"), Some(10));
        assert_eq!(lookup("user", "1000", accounts.user("1000")).unwrap(), 5);
        assert_eq!(lookup("user", "1001", accounts.user("1001")).unwrap(), 1001);
        assert!(lookup("user", "nobody-here", None).is_err());
        assert!(lookup("user", "-1", None).is_err());
    }

    #[test]
    fn names_prefer_the_first_line() {
        let accounts = accounts();
        let mut names = Names { users: by_number(&accounts.passwd), groups: by_number(&accounts.group) };
        assert_eq!(names.user(7), "\"svc\"");
        assert_eq!(names.user(12345), "\"12345\"");
        assert_eq!(names.group(10), "\"wheel\"");
    }

    #[test]
    fn modes_are_octal_digits() {
        assert_eq!(mode_from_digits(0).unwrap(), None);
        assert_eq!(mode_from_digits(644).unwrap(), Some(0o644));
        assert_eq!(mode_from_digits(4755).unwrap(), Some(0o4755));
        for bad in [648, 9, -1, 10000, 77777, i64::MIN] {
            assert!(mode_from_digits(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn modes_round_trip(mode in 1u32..=MODE_BITS) {
            prop_assert_eq!(mode_from_digits(i64::from(mode_to_digits(mode))).unwrap(), Some(mode));
        }
    }
}
