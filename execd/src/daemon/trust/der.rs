//! As much of DER, the encoding of certificates and key stores, as is needed to look into them.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const BMP_STRING: u8 = 0x1e;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
/// The first explicitly tagged member of a sequence.
pub(super) const MEMBER_0: u8 = 0xa0;

/// One value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    /// With its head.
    pub whole: &'a [u8],
}

/// Takes the first value off the input; `None` for anything that is not DER, which knows all lengths beforehand.
pub(super) fn next<'a>(input: &mut &'a [u8]) -> Option<Item<'a>> {
    let bytes = *input;
    let (&tag, rest) = bytes.split_first()?;
    // Numbers above 30 take more bytes; nothing here has one.
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *input = rest;
    Some(Item { tag, content, whole: &bytes[..bytes.len() - rest.len()] })
}

/// The content of the next value, which has to be of this kind.
pub(super) fn expect<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    next(input).filter(|item| item.tag == tag).map(|item| item.content)
}

/// All values up to the end; `None` if something is left over.
pub(super) fn all(mut input: &[u8]) -> Option<Vec<Item<'_>>> {
    let mut items = Vec::new();
    while !input.is_empty() {
        items.push(next(&mut input)?);
    }
    Some(items)
}

/// A value of what its content consists of.
pub(super) fn wrap(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let bytes = length.to_be_bytes();
    let bytes = &bytes[length.leading_zeros() as usize / 8..];
    let mut whole = vec![tag];
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => whole.push(short),
        _ => {
            // A length of at most eight bytes.
            whole.push(0x80 | bytes.len() as u8);
            whole.extend(bytes);
        }
    }
    whole.extend(parts.concat());
    whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_whole_values_are_taken() {
        let mut input: &[u8] = &[SEQUENCE, 2, 5, 6, 7];
        let item = next(&mut input).unwrap();
        assert_eq!((item.tag, item.content, item.whole), (SEQUENCE, &[5, 6][..], &[SEQUENCE, 2, 5, 6][..]));
        assert_eq!(input, [7]);
        for wrong in [&[][..], &[4], &[4, 1], &[4, 0x80, 0, 0], &[4, 0x82, 1], &[0x1f, 1, 0], &[4, 0x85]] {
            assert_eq!(next(&mut &*wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_wrapped_comes_out_again(
            content in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..300),
                proptest::collection::vec(any::<u8>(), 65_530..65_540),
            ]
        ) {
            let whole = wrap(OCTET_STRING, &[&content]);
            let mut input = &whole[..];
            prop_assert_eq!(expect(&mut input, OCTET_STRING), Some(&content[..]));
            prop_assert!(input.is_empty());
        }

        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = all(&bytes);
        }
    }
}
