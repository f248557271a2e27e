//! Owner, group and mode as requests write them.

use sandkeep_specs::execd::files::Permission;

use super::error::FileError;
use crate::users::Database;

/// Permission bits a request may set.
const MODE_BITS: u32 = 0o7777;

/// Owner, group and mode to give a file; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) mode: Option<u32>,
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
        let database = Database::read();
        let uid = owner.map(|name| lookup("user", name, database.user_named(name))).transpose()?;
        let gid = group.map(|name| lookup("group", name, database.group_named(name))).transpose()?;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_win_over_numbers() {
        assert_eq!(lookup("user", "1000", Some(5)).unwrap(), 5);
        assert_eq!(lookup("user", "1001", None).unwrap(), 1001);
        for bad in ["nobody-here", "-1", "4294967295"] {
            assert!(lookup("user", bad, None).is_err(), "{bad}");
        }
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
