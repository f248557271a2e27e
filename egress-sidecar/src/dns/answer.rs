//! Answers from upstream: judged, cut down to what was asked for, and made ready to be sent many times.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use hickory_proto::{
    op::{Message, OpCode, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType},
};

use super::wire::{self, HEAD, Question};

/// What is told of an answer's life at most. Its addresses pass a little longer than that, so no client that keeps to
/// it finds one closed.
pub(super) const MAX_TTL: u32 = 300;
/// Aliases followed of one name.
const MAX_ALIASES: usize = 16;

/// What an upstream server said of a name.
#[derive(Debug)]
pub(super) struct Told {
    /// The name and its aliases, in lower case.
    pub(super) chain: Vec<Box<str>>,
    /// What it stands for.
    pub(super) addresses: Vec<IpAddr>,
    /// The answer as it is kept.
    pub(super) answer: Answer,
}

/// A whole answer without EDNS, as it goes to any number of clients.
#[derive(Debug)]
pub(super) struct Answer {
    bytes: Box<[u8]>,
    ttls: Box<[u16]>,
    /// Seconds it may be kept.
    pub(super) ttl: u32,
    at: Instant,
}

/// Why an upstream's message is no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Useless {
    #[error("it is malformed")]
    Malformed,
    #[error("the server has no answer")]
    NoAnswer,
}

/// Reads the reply to the question about `name`.
pub(super) fn read(reply: &[u8], name: &str, question: &Question, now: Instant) -> Result<Told, Useless> {
    let mut message = Message::from_vec(reply).map_err(|_| Useless::Malformed)?;
    message.answers.retain(is_said);
    message.authorities.retain(is_said);
    let code = message.metadata.response_code;
    if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return Err(Useless::NoAnswer);
    }
    let chain = follow(name, &message.answers);
    let wanted = |record: &&Record| {
        let kind = u16::from(record.record_type());
        chain.iter().any(|name| **name == *text(&record.name))
            && (kind == question.kind
                || record.record_type() == RecordType::CNAME
                || (question.dnssec() && record.record_type() == RecordType::RRSIG))
    };
    let answers: Vec<Record> = message.answers.iter().filter(wanted).cloned().collect();
    let addresses = answers.iter().filter_map(|record| address(&record.data)).collect();
    let kinds: &[RecordType] = match question.dnssec() {
        true => &[RecordType::SOA, RecordType::NSEC, RecordType::NSEC3, RecordType::RRSIG],
        false => &[RecordType::SOA],
    };
    let said = answers.iter().any(|record| u16::from(record.record_type()) == question.kind);
    let authorities: Vec<Record> = match said {
        true => Vec::new(),
        false => message
            .authorities
            .iter()
            .filter(|record| kinds.contains(&record.record_type()))
            .cloned()
            .collect(),
    };
    let ttl = lifetime(&answers, &authorities, said);
    let answer = pack(&message, code, answers, authorities, ttl, now).ok_or(Useless::Malformed)?;
    Ok(Told { chain, addresses, answer })
}

/// Whether a record says something of names in the Internet: another class does not, nor does one without data, which has
/// its place in updates.
fn is_said(record: &Record) -> bool {
    record.dns_class == DNSClass::IN && !matches!(record.data, RData::Update0(_))
}

/// The name and what it is an alias of, step by step.
fn follow(name: &str, answers: &[Record]) -> Vec<Box<str>> {
    let mut chain: Vec<Box<str>> = vec![name.into()];
    while chain.len() <= MAX_ALIASES {
        let current = chain.last().map(|name| &**name).unwrap_or_default();
        let next = answers.iter().find_map(|record| match &record.data {
            RData::CNAME(alias) if text(&record.name) == current => Some(text(&alias.0)),
            _ => None,
        });
        match next {
            Some(next) if !chain.iter().any(|name| **name == *next) => chain.push(next.into()),
            _ => break,
        }
    }
    chain
}

fn text(name: &Name) -> String {
    let mut text = name.to_ascii();
    text.make_ascii_lowercase();
    if text.ends_with('.') {
        text.pop();
    }
    text
}

/// The addresses in an answer that was made here.
pub(super) fn addresses(answer: &[u8]) -> Vec<IpAddr> {
    let records = Message::from_vec(answer).map(|message| message.answers).unwrap_or_default();
    records.iter().filter_map(|record| address(&record.data)).collect()
}

pub(super) fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
        _ => None,
    }
}

/// Seconds until something of it is no longer true; one that says nothing lives as its SOA says.
fn lifetime(answers: &[Record], authorities: &[Record], said: bool) -> u32 {
    let shortest = answers.iter().map(|record| record.ttl).min();
    let nothing = || {
        authorities.iter().find_map(|record| match &record.data {
            RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
            _ => None,
        })
    };
    let ttl = match said {
        true => shortest.unwrap_or(0),
        false => nothing().map_or(0, |ttl| shortest.map_or(ttl, |shortest| shortest.min(ttl))),
    };
    ttl.min(MAX_TTL)
}

fn pack(
    told: &Message,
    code: ResponseCode,
    answers: Vec<Record>,
    authorities: Vec<Record>,
    ttl: u32,
    now: Instant,
) -> Option<Answer> {
    let mut message = Message::response(0, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.recursion_available = true;
    message.metadata.response_code = code;
    message.queries = told.queries.clone();
    let shorten = |mut record: Record| {
        record.ttl = record.ttl.min(MAX_TTL);
        record
    };
    message.answers = answers.into_iter().map(shorten).collect();
    message.authorities = authorities.into_iter().map(shorten).collect();
    let bytes = message.to_vec().ok()?;
    let ttls = wire::ttl_offsets(&bytes)?;
    Some(Answer { bytes: bytes.into(), ttls: ttls.into(), ttl, at: now })
}

impl Answer {
    /// Whether it is still true.
    pub(super) fn lives(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < Duration::from_secs(u64::from(self.ttl))
    }

    /// Writes the answer to this client's question into `out`; cut short when it is longer than `limit`.
    pub(super) fn write(
        &self,
        message: &[u8],
        question: &Question,
        limit: usize,
        now: Instant,
        out: &mut Vec<u8>,
    ) {
        let extra = if question.edns.is_some() { 11 } else { 0 };
        if self.bytes.len() + extra > limit || self.bytes.len() < question.end {
            return wire::empty_answer(message, question, self.bytes[3] & 0x0f, true, out);
        }
        out.clear();
        out.extend_from_slice(&self.bytes);
        out[..2].copy_from_slice(&message[..2]);
        out[2] = (out[2] & !0x01) | (message[2] & 0x01);
        // In the letters the client wrote, as some make sure of.
        out[HEAD..question.end].copy_from_slice(&message[HEAD..question.end]);
        let age = now.saturating_duration_since(self.at).as_secs() as u32;
        for at in &self.ttls {
            let at = usize::from(*at);
            let ttl = u32::from_be_bytes([out[at], out[at + 1], out[at + 2], out[at + 3]]);
            out[at..at + 4].copy_from_slice(&ttl.saturating_sub(age).to_be_bytes());
        }
        if question.edns.is_some() {
            out[11] = 1;
            wire::add_edns(question, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use hickory_proto::{
        op::Query,
        rr::rdata::{A, CNAME, SOA},
    };

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_str(text).unwrap()
    }

    fn reply(code: ResponseCode, answers: Vec<Record>, authorities: Vec<Record>) -> Vec<u8> {
        let mut message = Message::response(1, OpCode::Query);
        message.queries = vec![Query::query(name("www.a.test."), RecordType::A)];
        message.metadata.response_code = code;
        (message.answers, message.authorities) = (answers, authorities);
        message.to_vec().unwrap()
    }

    fn a(owner: &str, ttl: u32, address: [u8; 4]) -> Record {
        Record::from_rdata(name(owner), ttl, RData::A(A(address.into())))
    }

    fn cname(owner: &str, to: &str) -> Record {
        Record::from_rdata(name(owner), 60, RData::CNAME(CNAME(name(to))))
    }

    fn question(edns: bool) -> (Vec<u8>, Question) {
        let mut message = vec![9, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
        message.extend(b"\x03WWW\x01a\x04test\x00\x00\x01\x00\x01");
        if edns {
            message.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        }
        let wire::Parsed::Question(question) = wire::parse(&message, &mut String::new()) else { panic!() };
        (message, question)
    }

    #[test]
    fn aliases_are_followed_and_strangers_left_out() {
        let (message, question) = question(true);
        let answers = vec![
            cname("WWW.a.test.", "x.cdn.test."),
            cname("x.cdn.test.", "y.cdn.test."),
            a("y.cdn.test.", 900, [9, 9, 9, 1]),
            a("stranger.test.", 900, [9, 9, 9, 2]),
        ];
        let now = Instant::now();
        let told =
            read(&reply(ResponseCode::NoError, answers, Vec::new()), "www.a.test", &question, now).unwrap();
        assert_eq!(
            told.chain.iter().map(|name| &**name).collect::<Vec<_>>(),
            ["www.a.test", "x.cdn.test", "y.cdn.test"]
        );
        assert_eq!(told.addresses, ["9.9.9.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(told.answer.ttl, 60);
        let mut out = Vec::new();
        told.answer.write(&message, &question, 1232, now + Duration::from_secs(20), &mut out);
        assert_eq!(out[..2], [9, 9]);
        assert_eq!(out[HEAD..question.end], message[HEAD..question.end]);
        let sent = Message::from_vec(&out).unwrap();
        let ttls: Vec<u32> = sent.answers.iter().map(|record| record.ttl).collect();
        assert_eq!(ttls, [40, 40, 280]);
        assert!(sent.edns.is_some());
    }

    #[test]
    fn loops_of_aliases_end() {
        let (_, question) = question(false);
        let answers = vec![cname("www.a.test.", "b.test."), cname("b.test.", "www.a.test.")];
        let told =
            read(&reply(ResponseCode::NoError, answers, Vec::new()), "www.a.test", &question, Instant::now())
                .unwrap();
        assert_eq!(told.chain.len(), 2);
    }

    #[test]
    fn what_is_too_long_is_cut_short() {
        let (message, question) = question(false);
        let answers = (0..60).map(|last| a("www.a.test.", 60, [9, 9, 9, last])).collect();
        let now = Instant::now();
        let told =
            read(&reply(ResponseCode::NoError, answers, Vec::new()), "www.a.test", &question, now).unwrap();
        let mut out = Vec::new();
        told.answer.write(&message, &question, question.udp_limit(), now, &mut out);
        assert!(out.len() <= 512 && wire::is_truncated(&out));
        told.answer.write(&message, &question, usize::MAX, now, &mut out);
        assert_eq!(Message::from_vec(&out).unwrap().answers.len(), 60);
    }

    #[test]
    fn names_that_do_not_exist_live_as_long_as_their_zone_says() {
        let (_, question) = question(false);
        let soa = SOA::new(name("ns.test."), name("x.test."), 1, 1, 1, 1, 30);
        let soa = vec![Record::from_rdata(name("test."), 3600, RData::SOA(soa))];
        let now = Instant::now();
        let told =
            read(&reply(ResponseCode::NXDomain, Vec::new(), soa), "www.a.test", &question, now).unwrap();
        assert_eq!(told.answer.ttl, 30);
        assert!(told.answer.lives(now) && !told.answer.lives(now + Duration::from_secs(30)));
        let told =
            read(&reply(ResponseCode::NXDomain, vec![], vec![]), "www.a.test", &question, now).unwrap();
        assert_eq!(told.answer.ttl, 0);
    }

    #[test]
    fn servers_without_an_answer_are_told_from_those_with_none() {
        let (_, question) = question(false);
        let bad = reply(ResponseCode::ServFail, Vec::new(), Vec::new());
        assert_eq!(read(&bad, "www.a.test", &question, Instant::now()).unwrap_err(), Useless::NoAnswer);
        assert_eq!(
            read(&bad[..15], "www.a.test", &question, Instant::now()).unwrap_err(),
            Useless::Malformed
        );
    }
}
