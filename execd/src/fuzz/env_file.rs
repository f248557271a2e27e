//! Environment files.

use std::os::unix::ffi::OsStrExt;

use crate::command::env::{Environment, MAX_VALUE_BYTES, MAX_VALUES_BYTES, apply};

/// An environment file never gives what no program could be started with, and stays small whatever refers to what.
///
/// # Panics
/// When that does not hold.
pub fn env_file(data: &[u8]) {
    let before = Environment::from([("HOME".into(), "/root".into())]);
    let mut env = before.clone();
    apply(data, &mut env);
    let mut total = 0;
    for (key, value) in &env {
        let (key, value) = (key.as_bytes(), value.as_bytes());
        let odd = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'=' | b'#' | 0);
        assert!(!key.is_empty() && !key.iter().any(odd), "the key {key:?}");
        assert!(!value.contains(&0) && value.len() < MAX_VALUE_BYTES, "the value of {key:?}");
        total += value.len();
    }
    assert!(total <= MAX_VALUES_BYTES + "/root".len(), "{total} bytes of values");

    // Both forms that clients write read back as they were.
    let value: Vec<u8> = data.iter().copied().filter(|byte| !matches!(byte, 0 | b'\'')).take(1000).collect();
    let mut env = before.clone();
    apply(&[b"FUZZ='", &value[..], b"'\n"].concat(), &mut env);
    assert_eq!(env.get(std::ffi::OsStr::new("FUZZ")).map(|found| found.as_bytes()), Some(&value[..]));
    let escaped: Vec<u8> = value.iter().flat_map(|byte| escape(*byte)).collect();
    let mut env = before;
    apply(&[b"FUZZ=\"", &escaped[..], b"\"\n"].concat(), &mut env);
    assert_eq!(env.get(std::ffi::OsStr::new("FUZZ")).map(|found| found.as_bytes()), Some(&value[..]));
}

fn escape(byte: u8) -> Vec<u8> {
    match byte {
        b'\n' => b"\\n".to_vec(),
        b'\r' => b"\\r".to_vec(),
        b'\t' => b"\\t".to_vec(),
        b'\\' | b'"' | b'$' => vec![b'\\', byte],
        other => vec![other],
    }
}
