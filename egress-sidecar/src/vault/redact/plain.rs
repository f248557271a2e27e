//! What escapes stand for: of JSON (`\"`, `\u0022`), of URLs (`%22`) and of HTML (`&quot;`), in any mixture.

use std::ops::Range;

/// Most bytes that stand for one.
pub(super) const LONGEST: usize = 6;

const ENTITIES: [(&[u8], u8); 5] =
    [(b"&amp;", b'&'), (b"&lt;", b'<'), (b"&gt;", b'>'), (b"&quot;", b'"'), (b"&apos;", b'\'')];

/// A text without its escapes.
pub(super) struct Plain {
    pub(super) text: Vec<u8>,
    /// Ends of escapes, here and in the original.
    ends: Vec<(usize, usize)>,
}

impl Plain {
    /// Nothing if there are no escapes in it.
    pub(super) fn of(original: &[u8]) -> Option<Self> {
        let mut plain = Self { text: Vec::new(), ends: Vec::new() };
        let (mut done, mut at) = (0, 0);
        while let Some(next) = memchr::memchr3(b'%', b'\\', b'&', &original[at..]) {
            at += next;
            let Some((length, character)) = escape(&original[at..]) else {
                at += 1;
                continue;
            };
            plain.text.extend_from_slice(&original[done..at]);
            plain.text.extend_from_slice(character.as_bytes());
            at += length;
            done = at;
            plain.ends.push((plain.text.len(), at));
        }
        plain.text.extend_from_slice(&original[done..]);
        (!plain.ends.is_empty()).then_some(plain)
    }

    /// Where a part of it comes from.
    pub(super) fn origin(&self, part: Range<usize>) -> Range<usize> {
        let of = |at: usize| {
            let before = self.ends.partition_point(|(end, _)| *end <= at);
            let (end, origin) = before.checked_sub(1).map_or((0, 0), |last| self.ends[last]);
            origin + (at - end)
        };
        of(part.start)..of(part.end)
    }
}

/// What one escape stands for.
struct Character {
    bytes: [u8; 4],
    length: usize,
}

impl Character {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn byte(byte: u8) -> Self {
        Self { bytes: [byte, 0, 0, 0], length: 1 }
    }

    fn code(code: u32) -> Option<Self> {
        let mut bytes = [0; 4];
        let length = char::from_u32(code)?.encode_utf8(&mut bytes).len();
        Some(Self { bytes, length })
    }
}

/// The escape a text begins with, and its length.
fn escape(text: &[u8]) -> Option<(usize, Character)> {
    match text {
        [b'%', high, low, ..] => Some((3, Character::byte(u8::try_from(number(&[*high, *low], 16)?).ok()?))),
        [b'\\', b'u', rest @ ..] => unicode(rest),
        [b'\\', second, ..] => {
            let byte = match second {
                b'"' | b'\\' | b'/' => *second,
                b'b' => 0x08,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                _ => return None,
            };
            Some((2, Character::byte(byte)))
        }
        [b'&', b'#', rest @ ..] => numeric(rest),
        [b'&', ..] => {
            let (name, byte) = ENTITIES.iter().find(|(name, _)| text.starts_with(name))?;
            Some((name.len(), Character::byte(*byte)))
        }
        _ => None,
    }
}

/// The rest of `\u0022`, or of two of them that make one character.
fn unicode(rest: &[u8]) -> Option<(usize, Character)> {
    let first = number(rest.get(..4)?, 16)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((6, Character::code(first)?));
    }
    let second = number(rest.get(4..)?.strip_prefix(b"\\u")?.get(..4)?, 16)?;
    let second = (0xdc00..0xe000).contains(&second).then_some(second)?;
    Some((12, Character::code(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))?))
}

/// The rest of `&#39;` or `&#x27;`.
fn numeric(rest: &[u8]) -> Option<(usize, Character)> {
    let end = memchr::memchr(b';', rest.get(..LONGEST - 2).unwrap_or(rest))?;
    let code = match &rest[..end] {
        [b'x' | b'X', digits @ ..] => number(digits, 16)?,
        digits => number(digits, 10)?,
    };
    Some((2 + end + 1, Character::code(code)?))
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let digit = |sum: u32, digit: &u8| Some(sum * radix + char::from(*digit).to_digit(radix)?);
    if digits.is_empty() { None } else { digits.iter().try_fold(0, digit) }
}
