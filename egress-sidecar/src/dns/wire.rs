//! Questions as they come, and answers that need no more than the question.

/// Length of the head of every message.
pub(super) const HEAD: usize = 12;
/// What a client without EDNS takes over UDP.
const PLAIN_LIMIT: u16 = 512;
/// What no UDP answer exceeds: larger ones are fragmented on the way.
const UDP_LIMIT: u16 = 1232;
/// Most bytes of a name on the wire.
const MAX_NAME: usize = 255;
const OPT: u16 = 41;
const DNSSEC_OK: u8 = 0x80;

// Answers' codes.
pub(super) const NOERROR: u8 = 0;
pub(super) const FORMERR: u8 = 1;
pub(super) const SERVFAIL: u8 = 2;
pub(super) const NXDOMAIN: u8 = 3;
pub(super) const NOTIMP: u8 = 4;
pub(super) const REFUSED: u8 = 5;

// Types of questions.
pub(super) const A: u16 = 1;
pub(super) const AAAA: u16 = 28;

const CLASS_IN: u16 = 1;
/// SVCB and HTTPS carry addresses and keys past the judge; clients that get none use A and AAAA.
const SVCB: u16 = 64;
const HTTPS: u16 = 65;

/// One question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question {
    /// Where the question ends in its message.
    pub(super) end: usize,
    pub(super) kind: u16,
    pub(super) edns: Option<Edns>,
}

/// What a client says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edns {
    pub(super) size: u16,
    pub(super) dnssec: bool,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A question to be judged; its name is in the buffer.
    Question(Question),
    /// A question that gets this code.
    Refuse(u8),
    /// Nothing to be answered.
    Ignore,
}

impl Question {
    /// Most bytes of the answer over UDP.
    pub(super) fn udp_limit(&self) -> usize {
        usize::from(self.edns.map_or(PLAIN_LIMIT, |edns| edns.size.clamp(PLAIN_LIMIT, UDP_LIMIT)))
    }

    pub(super) fn dnssec(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec)
    }

    pub(super) fn is_hint(&self) -> bool {
        matches!(self.kind, SVCB | HTTPS)
    }
}

fn word(message: &[u8], at: usize) -> Option<u16> {
    message.get(at..at + 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// Reads a message and leaves its name, in lower case and without the last dot, in `name`.
pub(super) fn parse(message: &[u8], name: &mut String) -> Parsed {
    let Some(head) = message.get(..HEAD) else { return Parsed::Ignore };
    if head[2] & 0x80 != 0 {
        return Parsed::Ignore;
    }
    if head[2] & 0x78 != 0 {
        return Parsed::Refuse(NOTIMP);
    }
    if head[4..10] != [0, 1, 0, 0, 0, 0] {
        return Parsed::Refuse(FORMERR);
    }
    let at = match read_name(message, name) {
        Ok(at) => at,
        Err(code) => return Parsed::Refuse(code),
    };
    let (Some(kind), Some(class)) = (word(message, at), word(message, at + 2)) else {
        return Parsed::Refuse(FORMERR);
    };
    let edns = match read_edns(message, at + 4) {
        Ok(edns) => edns,
        Err(code) => return Parsed::Refuse(code),
    };
    // Questions about servers rather than names (transfers, all types at once, keys) are nobody's here.
    if class != CLASS_IN || kind == 0 || kind == OPT || (128..=255).contains(&kind) {
        return Parsed::Refuse(REFUSED);
    }
    Parsed::Question(Question { end: at + 4, kind, edns })
}

/// A name is compared as text, so bytes that mean something in text are refused.
fn read_name(message: &[u8], name: &mut String) -> Result<usize, u8> {
    name.clear();
    let mut at = HEAD;
    loop {
        let length = usize::from(*message.get(at).ok_or(FORMERR)?);
        at += 1;
        if length == 0 {
            return Ok(at);
        }
        if length > 63 || at + length - HEAD > MAX_NAME - 1 {
            return Err(FORMERR);
        }
        if !name.is_empty() {
            name.push('.');
        }
        for byte in message.get(at..at + length).ok_or(FORMERR)? {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => {
                    name.push(char::from(byte.to_ascii_lowercase()));
                }
                _ => return Err(REFUSED),
            }
        }
        at += length;
    }
}

/// What follows the question: nothing, or what the client says of itself first of all.
fn read_edns(message: &[u8], mut at: usize) -> Result<Option<Edns>, u8> {
    let count = word(message, 10).unwrap_or(0);
    let mut edns = None;
    for _ in 0..count {
        let record = message.get(at..at + 11).ok_or(FORMERR)?;
        if record[0] != 0 || word(record, 1) != Some(OPT) || edns.is_some() {
            // Signatures of messages and the like: the answer would have to be signed too.
            return Err(REFUSED);
        }
        edns = Some(Edns {
            size: u16::from_be_bytes([record[3], record[4]]),
            dnssec: record[7] & DNSSEC_OK != 0,
        });
        at += 11 + usize::from(u16::from_be_bytes([record[9], record[10]]));
    }
    if at > message.len() { Err(FORMERR) } else { Ok(edns) }
}

/// An answer without records.
pub(super) fn empty_answer(
    message: &[u8],
    question: &Question,
    code: u8,
    truncated: bool,
    out: &mut Vec<u8>,
) {
    out.clear();
    out.extend_from_slice(&message[..question.end]);
    let more = u8::from(question.edns.is_some());
    finish_head(out, message, code, truncated, [0, 0, more]);
    add_edns(question, out);
}

/// An answer to what is no question.
pub(super) fn refusal(message: &[u8], code: u8, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&message[..HEAD]);
    finish_head(out, message, code, false, [0, 0, 0]);
    out[4..6].copy_from_slice(&[0, 0]);
}

fn finish_head(out: &mut [u8], message: &[u8], code: u8, truncated: bool, counts: [u8; 3]) {
    // An answer, of the same kind, with recursion wanted if it was, and to be had.
    out[2] = 0x80 | (message[2] & 0x79) | if truncated { 0x02 } else { 0 };
    out[3] = 0x80 | code;
    out[6..12].copy_from_slice(&[0, counts[0], 0, counts[1], 0, counts[2]]);
}

/// Answers a client that says what it can in the same way.
pub(super) fn add_edns(question: &Question, out: &mut Vec<u8>) {
    if let Some(edns) = question.edns {
        let flags = if edns.dnssec { DNSSEC_OK } else { 0 };
        out.push(0);
        out.extend(OPT.to_be_bytes());
        out.extend(UDP_LIMIT.to_be_bytes());
        out.extend([0, 0, flags, 0, 0, 0]);
    }
}

/// A question of the sidecar's own; `None` for what is no name.
pub(super) fn question(name: &str, kind: u16) -> Option<Vec<u8>> {
    let mut message = vec![0, 0, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.strip_suffix('.').unwrap_or(name).split('.') {
        message.push(u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    Some(message)
}

/// The question as it is asked upstream: nothing of the client's but the name and the type.
pub(super) fn upstream_query(id: u16, message: &[u8], question: &Question) -> Vec<u8> {
    let mut query = Vec::with_capacity(question.end + 11);
    query.extend(id.to_be_bytes());
    query.extend([0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 1]);
    query.extend(message[HEAD..question.end].to_ascii_lowercase());
    let edns = Edns { size: UDP_LIMIT, dnssec: question.dnssec() };
    // The type is the last but one word; lowering it as text would change it.
    let tail = query.len() - 4;
    query[tail..].copy_from_slice(&message[question.end - 4..question.end]);
    add_edns(&Question { edns: Some(edns), ..*question }, &mut query);
    query
}

/// Whether this message answers that query.
pub(super) fn answers(reply: &[u8], query: &[u8], end: usize) -> bool {
    reply.len() >= end
        && reply[..2] == query[..2]
        && reply[2] & 0x80 != 0
        && reply[4..6] == [0, 1]
        && reply[HEAD..end].eq_ignore_ascii_case(&query[HEAD..end])
}

pub(super) fn is_truncated(reply: &[u8]) -> bool {
    reply.get(2).is_some_and(|flags| flags & 0x02 != 0)
}

/// Where the times to live are in a message without EDNS.
pub(super) fn ttl_offsets(message: &[u8]) -> Option<Vec<u16>> {
    let count = |at| word(message, at).map(usize::from);
    let mut at = HEAD;
    for _ in 0..count(4)? {
        at = skip_name(message, at)? + 4;
    }
    let records = count(6)? + count(8)? + count(10)?;
    let mut offsets = Vec::with_capacity(records);
    for _ in 0..records {
        at = skip_name(message, at)?;
        offsets.push(u16::try_from(at + 4).ok()?);
        at += 10 + usize::from(word(message, at + 8)?);
    }
    (at == message.len()).then_some(offsets)
}

fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length => at += usize::from(length) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{question as ask, *};

    /// With a number, which the sidecar gives its own questions later.
    fn question(name: &str, kind: u16) -> Vec<u8> {
        let mut message = ask(name, kind).unwrap();
        message[..2].copy_from_slice(&[0xab, 0xcd]);
        message
    }

    fn parsed(message: &[u8]) -> (Parsed, String) {
        let mut name = String::new();
        (parse(message, &mut name), name)
    }

    #[test]
    fn names_are_read_in_lower_case() {
        let message = question("Www.EXAMPLE.com", 28);
        let (what, name) = parsed(&message);
        assert_eq!(
            (what, name.as_str()),
            (Parsed::Question(Question { end: 33, kind: 28, edns: None }), "www.example.com")
        );
        assert!(ask("", 1).is_none() && ask("a..b", 1).is_none() && ask(&"a".repeat(64), 1).is_none());
    }

    #[test]
    fn what_is_no_plain_question_is_refused() {
        let plain = question("a.b", 1);
        let with = |at: usize, byte: u8| {
            let mut message = plain.clone();
            message[at] = byte;
            parsed(&message).0
        };
        assert_eq!(with(2, 0x81), Parsed::Ignore);
        assert_eq!(with(2, 0x29), Parsed::Refuse(NOTIMP));
        assert_eq!(with(5, 2), Parsed::Refuse(FORMERR));
        assert_eq!(with(7, 1), Parsed::Refuse(FORMERR));
        assert_eq!(with(11, 1), Parsed::Refuse(FORMERR));
        assert_eq!(with(12, 0xc0), Parsed::Refuse(FORMERR));
        // A dot inside a label would make another name of it.
        assert_eq!(with(13, b'.'), Parsed::Refuse(REFUSED));
        assert_eq!(with(13, 0), Parsed::Refuse(REFUSED));
        assert_eq!(with(plain.len() - 1, 3), Parsed::Refuse(REFUSED));
        assert_eq!(with(plain.len() - 3, 252), Parsed::Refuse(REFUSED));
        assert_eq!(parsed(&plain[..plain.len() - 1]).0, Parsed::Refuse(FORMERR));
        assert_eq!(parsed(&plain[..5]).0, Parsed::Ignore);
        assert_eq!(parsed(&question(&["abcdefgh"; 30].join("."), 1)).0, Parsed::Refuse(FORMERR));
    }

    #[test]
    fn clients_that_can_do_more_are_answered_so() {
        let mut message = question("a.b", 1);
        message[11] = 1;
        message.extend([0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 2, 1, 2]);
        let (Parsed::Question(question), _) = parsed(&message) else { panic!("refused") };
        assert_eq!((question.edns, question.udp_limit()), (Some(Edns { size: 4096, dnssec: true }), 1232));
        let mut out = Vec::new();
        empty_answer(&message, &question, NXDOMAIN, false, &mut out);
        assert_eq!(out[..12], [0xab, 0xcd, 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(out.len(), question.end + 11);
        message.truncate(message.len() - 1);
        assert_eq!(parsed(&message).0, Parsed::Refuse(FORMERR));
    }

    #[test]
    fn upstream_learns_the_name_and_the_type_only() {
        let message = question("A.B", 65);
        let (Parsed::Question(question), _) = parsed(&message) else { panic!("refused") };
        let query = upstream_query(7, &message, &question);
        assert_eq!(query[..17], [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, b'a', 1, b'b', 0]);
        assert_eq!(query[17..21], [0, 65, 0, 1]);
        let mut reply = query.clone();
        assert!(!answers(&reply, &query, question.end));
        reply[2] |= 0x80;
        reply[13] = b'A';
        assert!(answers(&reply, &query, question.end));
        reply[0] = 1;
        assert!(!answers(&reply, &query, question.end));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(message in prop::collection::vec(any::<u8>(), 0..600)) {
            let (what, name) = parsed(&message);
            let mut out = Vec::new();
            match what {
                Parsed::Question(question) => {
                    prop_assert!(name.len() < MAX_NAME && question.end <= message.len());
                    empty_answer(&message, &question, NXDOMAIN, false, &mut out);
                    upstream_query(1, &message, &question);
                }
                Parsed::Refuse(code) => refusal(&message, code, &mut out),
                Parsed::Ignore => {}
            }
            ttl_offsets(&message);
        }
    }
}
