//! What must hold for any message.

use std::time::Instant;

use hickory_proto::op::Message;

use super::{
    answer,
    wire::{self, HEAD, Parsed, Question},
};

/// Longest name, as text.
const LONGEST_NAME: usize = 253;

/// A message is refused or asks for a name that reads as one; what is asked upstream for it is well-formed; what
/// upstream replies is taken or left, and goes to the client whole or marked as cut, never longer than the client takes.
/// The first byte says how much is the question; the rest is the reply after its question.
///
/// # Panics
/// When that does not hold.
pub fn message(data: &[u8]) {
    let Some((&size, rest)) = data.split_first() else { return };
    let (message, reply) = rest.split_at(usize::from(size).min(rest.len()));
    let (mut name, mut out) = (String::new(), Vec::new());
    match wire::parse(message, &mut name) {
        Parsed::Ignore => {}
        Parsed::Refuse(code) => {
            wire::refusal(message, code, &mut out);
            assert_eq!((out.len(), out[3] & 0x0f), (HEAD, code));
        }
        Parsed::Question(question) => {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            assert!(name.len() <= LONGEST_NAME && name.bytes().all(is_plain), "{name:?}");
            assert_eq!(name, name.to_ascii_lowercase());
            wire::empty_answer(message, &question, wire::NXDOMAIN, false, &mut out);
            assert!(Message::from_vec(&out).is_ok(), "{out:?}");
            upstream(message, &name, &question, reply);
        }
    }
}

/// The reply of an upstream that repeats its question and else says what it wants.
fn upstream(message: &[u8], name: &str, question: &Question, rest: &[u8]) {
    let query = wire::upstream_query(7, message, question);
    assert!(Message::from_vec(&query).is_ok(), "{query:?}");
    let Some((head, rest)) = rest.split_at_checked(HEAD) else { return };
    let mut reply = head.to_vec();
    reply[..2].copy_from_slice(&query[..2]);
    reply[2] |= 0x80;
    reply[4..6].copy_from_slice(&[0, 1]);
    reply.extend_from_slice(&query[HEAD..question.end]);
    reply.extend_from_slice(rest);
    assert!(wire::answers(&reply, &query, question.end));
    wire::is_truncated(&reply);
    let now = Instant::now();
    let Ok(told) = answer::read(&reply, name, question, now) else { return };
    assert_eq!(told.chain.first().map(|first| &**first), Some(name));
    assert!(told.answer.ttl <= answer::MAX_TTL);
    for limit in [question.udp_limit(), usize::from(u16::MAX)] {
        let mut out = Vec::new();
        told.answer.write(message, question, limit, now, &mut out);
        let whole = !wire::is_truncated(&out);
        assert!(out.len() <= limit || !whole, "{} of {limit}", out.len());
        assert!(Message::from_vec(&out).is_ok(), "{out:?}");
        if whole {
            assert_eq!(answer::addresses(&out), told.addresses);
        }
    }
}
