//! From a question to its answer.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{
    answer::{self, Answer, Told, Useless},
    cache::{self, Cache, Key},
    upstream::Upstreams,
    wire::{self, NXDOMAIN, Parsed, Question, REFUSED, SERVFAIL},
};
use crate::{
    denials::Denials,
    engine::{AdmitError, Engine},
    metrics::{Count, Metrics},
    policy::Judge,
};

/// Questions that wait for an answer from upstream at the same time.
const MAX_WAITING: usize = 4096;
/// How often a question is judged anew when the rules change meanwhile.
const MAX_JUDGEMENTS: usize = 3;

/// What a question came to that could not be answered at once.
#[derive(Debug, Clone)]
enum Outcome {
    Answer(Rc<Answer>),
    /// The policy refuses what the name leads to.
    Denied,
    Code(u8),
}

/// Somebody who asks upstream, and others who wait for the same answer.
#[derive(Debug, Default)]
struct Flight {
    outcome: RefCell<Option<Outcome>>,
    landed: Notify,
}

/// What is to be done with a message.
#[derive(Debug)]
pub(super) enum Next {
    /// The answer is there.
    Reply,
    /// It has to be asked for.
    Ask(Ask),
    Nothing,
}

/// A question that has to be asked upstream.
#[derive(Debug)]
pub(super) struct Ask {
    message: Box<[u8]>,
    name: Box<str>,
    question: Question,
}

/// Answers questions, on one thread.
#[derive(Debug)]
pub(super) struct Resolver {
    engine: Arc<Engine>,
    denials: Arc<Denials>,
    metrics: Arc<Metrics>,
    upstreams: Rc<Upstreams>,
    cache: RefCell<Cache>,
    flights: RefCell<HashMap<Key, Rc<Flight>>>,
    waiting: Cell<usize>,
    /// Kept from question to question, to spare allocations.
    name: RefCell<String>,
    key: RefCell<Key>,
}

impl Resolver {
    pub(super) fn new(
        engine: Arc<Engine>,
        denials: Arc<Denials>,
        metrics: Arc<Metrics>,
        upstreams: Rc<Upstreams>,
    ) -> Self {
        Self {
            engine,
            denials,
            metrics,
            upstreams,
            cache: RefCell::default(),
            flights: RefCell::default(),
            waiting: Cell::new(0),
            name: RefCell::default(),
            key: RefCell::default(),
        }
    }

    pub(super) fn judge(&self) -> Arc<Judge> {
        self.engine.judge()
    }

    /// Judges a message, and answers it in `out` when that needs nobody else. `limit` is what the way back carries,
    /// where that is not the client's affair.
    pub(super) fn quick(
        &self,
        judge: &Judge,
        message: &[u8],
        limit: Option<usize>,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Next {
        let name = &mut *self.name.borrow_mut();
        let question = match wire::parse(message, name) {
            Parsed::Question(question) => question,
            Parsed::Refuse(code) => {
                wire::refusal(message, code, out);
                return Next::Reply;
            }
            Parsed::Ignore => return Next::Nothing,
        };
        let judgement = judge.name(name);
        if !judgement.allowed {
            self.metrics.count(Count::Denied);
            self.denials.name(name, &judgement);
            wire::empty_answer(message, &question, NXDOMAIN, false, out);
            return Next::Reply;
        }
        if question.is_hint() {
            wire::empty_answer(message, &question, wire::NOERROR, false, out);
            return Next::Reply;
        }
        let key = &mut *self.key.borrow_mut();
        cache::key(name, &question, key);
        if let Some(answer) = self.cache.borrow_mut().get(judge.generation, key, now) {
            self.metrics.count(Count::CacheHit);
            let limit = limit.unwrap_or_else(|| question.udp_limit());
            answer.write(message, &question, limit, now, out);
            return Next::Reply;
        }
        self.metrics.count(Count::CacheMiss);
        if self.waiting.get() >= MAX_WAITING {
            wire::empty_answer(message, &question, SERVFAIL, false, out);
            return Next::Reply;
        }
        Next::Ask(Ask { message: message.into(), name: name.as_str().into(), question })
    }

    /// The answer to a question that had to be asked for.
    pub(super) async fn ask(&self, ask: &Ask, limit: Option<usize>) -> Vec<u8> {
        self.waiting.set(self.waiting.get() + 1);
        let outcome = self.resolve(ask).await;
        self.waiting.set(self.waiting.get() - 1);
        let mut out = Vec::new();
        match outcome {
            Outcome::Answer(answer) => {
                let limit = limit.unwrap_or_else(|| ask.question.udp_limit());
                answer.write(&ask.message, &ask.question, limit, Instant::now(), &mut out);
            }
            Outcome::Denied => {
                self.metrics.count(Count::Denied);
                wire::empty_answer(&ask.message, &ask.question, NXDOMAIN, false, &mut out);
            }
            Outcome::Code(code) => wire::empty_answer(&ask.message, &ask.question, code, false, &mut out),
        }
        out
    }

    /// The addresses the namespace is told for a name; an error says why it is told none.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, &'static str> {
        let mut addresses = Vec::new();
        for kind in [wire::A, wire::AAAA] {
            let message = wire::question(name, kind).ok_or("this is not a name")?;
            let mut out = Vec::new();
            let (judge, whole) = (self.judge(), Some(usize::from(u16::MAX)));
            match self.quick(&judge, &message, whole, Instant::now(), &mut out) {
                Next::Reply => {}
                Next::Ask(ask) => out = self.ask(&ask, whole).await,
                Next::Nothing => return Err("this is not a name"),
            }
            match out.get(3).map(|flags| flags & 0x0f) {
                Some(wire::NOERROR) => addresses.extend(answer::addresses(&out)),
                // A server that knows no IPv6 takes nothing away from what it told before.
                _ if !addresses.is_empty() => {}
                Some(NXDOMAIN) => return Err("there is no such name, or it is denied"),
                _ => return Err("no name server answers"),
            }
        }
        Ok(addresses)
    }

    /// One question is asked once, however many want to know.
    async fn resolve(&self, ask: &Ask) -> Outcome {
        let mut key = Key::new();
        cache::key(&ask.name, &ask.question, &mut key);
        let under_way = self.flights.borrow().get(&key).cloned();
        if let Some(flight) = under_way {
            let mut landed = std::pin::pin!(flight.landed.notified());
            landed.as_mut().enable();
            let outcome = flight.outcome.borrow().clone();
            match outcome {
                Some(outcome) => return outcome,
                None => landed.await,
            }
            return flight.outcome.borrow().clone().unwrap_or(Outcome::Code(SERVFAIL));
        }
        let flight = Rc::new(Flight::default());
        self.flights.borrow_mut().insert(key.clone(), Rc::clone(&flight));
        let outcome = self.ask_upstream(ask, &key).await;
        *flight.outcome.borrow_mut() = Some(outcome.clone());
        self.flights.borrow_mut().remove(&key);
        flight.landed.notify_waiters();
        outcome
    }

    async fn ask_upstream(&self, ask: &Ask, key: &Key) -> Outcome {
        let Ok(id) = self.upstreams.id() else { return Outcome::Code(SERVFAIL) };
        let query = wire::upstream_query(id, &ask.message, &ask.question);
        let was_answered = Cell::new(false);
        let read = |reply: &[u8]| {
            let read = answer::read(reply, &ask.name, &ask.question, Instant::now());
            was_answered.set(was_answered.get() || matches!(read, Err(Useless::NoAnswer)));
            read.map_err(|error| error.to_string())
        };
        let since = Instant::now();
        let asked = self.upstreams.ask(&query, ask.question.end, read).await;
        self.metrics.asked(since.elapsed());
        let told = match asked {
            Ok(told) => told,
            Err(reason) => {
                let failure = if was_answered.get() { Count::ErrorCode } else { Count::UpstreamError };
                self.metrics.count(failure);
                tracing::warn!(name = %ask.name, reason, "no name server answers");
                return Outcome::Code(SERVFAIL);
            }
        };
        self.admit(told, key)
    }

    /// Judges what was told, and lets its addresses pass.
    fn admit(&self, told: Told, key: &Key) -> Outcome {
        for _ in 0..MAX_JUDGEMENTS {
            let judge = self.judge();
            if let Err((name, judgement)) = judge.chain(&told.chain) {
                self.denials.alias(&told.chain[0], name, &judgement);
                return Outcome::Denied;
            }
            if let Some(address) = told.addresses.iter().find(|address| !judge.address(**address)) {
                self.denials.address(&told.chain[0], *address);
                return Outcome::Denied;
            }
            let ttl = Duration::from_secs(u64::from(told.answer.ttl));
            match self.engine.admit(judge.generation, &told.chain, &told.addresses, ttl) {
                Ok(()) => {
                    self.denials.allowed(&told.chain[0], judge.name(&told.chain[0]).target);
                    let answer = Rc::new(told.answer);
                    self.cache.borrow_mut().put(
                        judge.generation,
                        key.clone(),
                        Rc::clone(&answer),
                        Instant::now(),
                    );
                    return Outcome::Answer(answer);
                }
                Err(AdmitError::Stale) => {}
                Err(error) => {
                    tracing::error!(name = %told.chain[0], %error, "addresses are not let pass");
                    return Outcome::Code(SERVFAIL);
                }
            }
        }
        Outcome::Code(REFUSED)
    }
}
