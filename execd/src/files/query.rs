//! Query strings whose values are paths: any bytes, because file names are.

/// Every value of the parameter `key`, decoded, in order.
pub(crate) fn values(query: Option<&str>, key: &str) -> Vec<Vec<u8>> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let split = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    split.filter(|(name, _)| decode(name) == key.as_bytes()).map(|(_, value)| decode(value)).collect()
}

/// The first value of the parameter `key`.
pub(crate) fn value(query: Option<&str>, key: &str) -> Option<Vec<u8>> {
    values(query, key).into_iter().next()
}

/// Undoes percent-encoding; what is not a valid escape stands for itself.
fn decode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => out.push(b' '),
            b'%' => match after {
                [high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    out.push(digit(*high) << 4 | digit(*low));
                    rest = after;
                }
                _ => out.push(b'%'),
            },
            _ => out.push(byte),
        }
    }
    out
}

fn digit(hex: u8) -> u8 {
    match hex {
        b'0'..=b'9' => hex - b'0',
        _ => (hex | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decodes_repeated_values() {
        let query = Some("path=%2Fa%20b&x=1&path=/c+d%ff&path=&pa%74h=e%&path");
        let expected: [&[u8]; 5] = [b"/a b", b"/c d\xff", b"", b"e%", b""];
        assert_eq!(values(query, "path"), expected);
        assert_eq!(value(query, "x"), Some(b"1".to_vec()));
        assert_eq!(value(query, "y"), None);
        assert_eq!(value(None, "y"), None);
    }

    proptest! {
        #[test]
        fn encoded_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            let query: String = bytes.iter().map(|b| format!("%{b:02X}")).collect();
            prop_assert_eq!(value(Some(&format!("a=b&p={query}")), "p"), Some(bytes));
        }

        #[test]
        fn never_panics(query in "\\PC{0,40}") {
            let _ = values(Some(&query), "path");
        }
    }
}
