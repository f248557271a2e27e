//! Signatures of routes: whoever knows the key can tell until when somebody may use a port.

use std::{collections::BTreeMap, fmt};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Hexadecimal digits of the digest that a signature shows.
const SHOWN_DIGITS: usize = 8;
/// A signature is the digits and the key's one-character name.
pub(super) const SIGNATURE_LENGTH: usize = SHOWN_DIGITS + 1;
/// 2^64 - 1 in base 36.
pub(super) const MAX_BASE36: usize = 13;

/// The keys of this gateway, by name. One of them signs; all are believed.
#[derive(Clone)]
pub struct SigningKeys {
    active: u8,
    keys: BTreeMap<u8, Vec<u8>>,
}

/// What makes a route signed: its end in base 36, and the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    pub expires: String,
    pub signature: String,
}

/// What a signature is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Valid,
    Expired,
    Wrong,
}

impl SigningKeys {
    /// # Errors
    /// A text for people when a name or key cannot be used.
    pub fn new(active: &str, keys: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self, String> {
        let mut known = BTreeMap::new();
        for (name, key) in keys {
            let name = key_name(&name)?;
            if key.is_empty() {
                return Err(format!("the key {:?} is empty", char::from(name)));
            }
            if known.insert(name, key).is_some() {
                return Err(format!("the key {:?} is given twice", char::from(name)));
            }
        }
        let active = key_name(active)?;
        if !known.contains_key(&active) {
            return Err(format!("the active key {:?} is not among the keys", char::from(active)));
        }
        Ok(Self { active, keys: known })
    }

    /// Lets whoever has the stamp use `port` until `expires`, in seconds since 1970.
    pub fn sign(&self, sandbox: &str, port: u16, expires: u64) -> Stamp {
        let expires = base36(expires);
        // The constructor saw to it that the active key is there.
        let key = self.keys.get(&self.active).map_or(&[][..], Vec::as_slice);
        let digits = digits(key, sandbox, port, &expires);
        Stamp { signature: format!("{digits}{}", char::from(self.active)), expires }
    }

    /// Judges a stamp at `now`, in seconds since 1970.
    pub fn verify(&self, sandbox: &str, port: u16, stamp: &Stamp, now: u64) -> Verdict {
        let Some(expires) = parse_base36(&stamp.expires) else { return Verdict::Wrong };
        let Some((digits_shown, name)) = stamp.signature.split_at_checked(SHOWN_DIGITS) else {
            return Verdict::Wrong;
        };
        let Some(key) = name.bytes().next().and_then(|name| self.keys.get(&name)) else {
            return Verdict::Wrong;
        };
        let expected = digits(key, sandbox, port, &stamp.expires);
        let same: bool = digits_shown.as_bytes().ct_eq(expected.as_bytes()).into();
        match (same, now <= expires) {
            (false, _) => Verdict::Wrong,
            (true, false) => Verdict::Expired,
            (true, true) => Verdict::Valid,
        }
    }
}

// Keys must not reach a log through `{:?}`.
impl fmt::Debug for SigningKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SigningKeys")
            .field("active", &char::from(self.active))
            .finish_non_exhaustive()
    }
}

fn key_name(name: &str) -> Result<u8, String> {
    match name.as_bytes() {
        [byte] if byte.is_ascii_digit() || byte.is_ascii_lowercase() => Ok(*byte),
        _ => Err(format!("a key's name is one character of 0-9 and a-z, not {name:?}")),
    }
}

fn digits(key: &[u8], sandbox: &str, port: u16, expires: &str) -> String {
    let content = format!("v1\nshort\n{sandbox}\n{port}\n{expires}\n");
    let mut digest = Sha256::new();
    for part in [key, content.as_bytes()] {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        digest.update(length.to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().take(SHOWN_DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// The number in digits 0-9a-z, without leading zeros.
pub fn base36(mut number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut text = Vec::new();
    loop {
        text.push(char::from(DIGITS[(number % 36) as usize]));
        number /= 36;
        if number == 0 {
            return text.iter().rev().collect();
        }
    }
}

pub(super) fn parse_base36(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    let is_canonical = text == "0" || !text.starts_with('0');
    if !is_plain || !is_canonical || text.len() > MAX_BASE36 {
        return None;
    }
    u64::from_str_radix(text, 36).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> SigningKeys {
        SigningKeys::new("a", [("a".to_owned(), b"secret".to_vec()), ("0".to_owned(), b"old".to_vec())])
            .unwrap()
    }

    #[test]
    fn the_contracts_vector() {
        let stamp = keys().sign("my-sandbox", 8080, 2_000_000_000);
        assert_eq!(stamp, Stamp { expires: "x2qxvk".to_owned(), signature: "09d19c6ea".to_owned() });
        assert_eq!(base36(u64::MAX), "3w5e11264sgsf");
        assert_eq!((base36(0), base36(35), base36(36)), ("0".to_owned(), "z".to_owned(), "10".to_owned()));
    }

    #[test]
    fn base_36_is_read_as_it_is_written() {
        for number in [0, 1, 35, 36, 2_000_000_000, u64::MAX] {
            assert_eq!(parse_base36(&base36(number)), Some(number));
        }
        for text in ["", "00", "01", "X", "-1", "+1", "3w5e11264sgsg", "10000000000000"] {
            assert_eq!(parse_base36(text), None, "{text}");
        }
    }

    #[test]
    fn a_stamp_is_for_one_port_and_ends() {
        let keys = keys();
        let stamp = keys.sign("s", 80, 1000);
        assert_eq!(keys.verify("s", 80, &stamp, 1000), Verdict::Valid);
        assert_eq!(keys.verify("s", 80, &stamp, 1001), Verdict::Expired);
        for (sandbox, port) in [("t", 80), ("s", 81)] {
            assert_eq!(keys.verify(sandbox, port, &stamp, 1), Verdict::Wrong);
        }
        let longer = Stamp { expires: base36(2000), ..stamp.clone() };
        assert_eq!(keys.verify("s", 80, &longer, 1), Verdict::Wrong);
        for signature in ["", "a", &stamp.signature[..8], &format!("{}0", &stamp.signature[..8]), "äöüäöüa"]
        {
            let forged = Stamp { signature: signature.to_owned(), ..stamp.clone() };
            assert_eq!(keys.verify("s", 80, &forged, 1), Verdict::Wrong, "{signature}");
        }
    }

    #[test]
    fn an_older_key_is_still_believed() {
        let before = SigningKeys::new("0", [("0".to_owned(), b"old".to_vec())]).unwrap();
        assert_eq!(keys().verify("s", 80, &before.sign("s", 80, 9), 9), Verdict::Valid);
    }

    #[test]
    fn unusable_keys_are_refused_and_never_shown() {
        let one = |name: &str, key: &[u8]| [(name.to_owned(), key.to_vec())];
        for (active, keys) in
            [("b", one("a", b"k")), ("a", one("a", b"")), ("A", one("A", b"k")), ("ab", one("ab", b"k"))]
        {
            assert!(SigningKeys::new(active, keys).is_err(), "{active}");
        }
        assert!(!format!("{:?}", keys()).contains("secret"));
    }
}
