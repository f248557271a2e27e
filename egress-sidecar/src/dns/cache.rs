//! Answers that are still true, under the rules they were judged by.

use std::{collections::HashMap, rc::Rc, time::Instant};

use super::{answer::Answer, wire::Question};

/// Answers kept.
const MAX_ANSWERS: usize = 8192;
/// How many are let go at once when none has run out.
const LET_GO: usize = MAX_ANSWERS / 8;

/// Name, type and whether signatures are wanted, as one key.
pub(super) type Key = Vec<u8>;

/// Fills `key` for a question about `name`.
pub(super) fn key(name: &str, question: &Question, key: &mut Key) {
    key.clear();
    key.extend_from_slice(name.as_bytes());
    key.extend(question.kind.to_be_bytes());
    key.push(u8::from(question.dnssec()));
}

/// All answers belong to one generation of rules.
#[derive(Debug, Default)]
pub(super) struct Cache {
    generation: u64,
    answers: HashMap<Key, Rc<Answer>>,
}

impl Cache {
    pub(super) fn get(&mut self, generation: u64, key: &[u8], now: Instant) -> Option<&Answer> {
        self.belong_to(generation);
        self.answers.get(key).map(|answer| &**answer).filter(|answer| answer.lives(now))
    }

    pub(super) fn put(&mut self, generation: u64, key: Key, answer: Rc<Answer>, now: Instant) {
        self.belong_to(generation);
        if answer.ttl == 0 || self.generation != generation {
            return;
        }
        if self.answers.len() >= MAX_ANSWERS {
            self.answers.retain(|_, answer| answer.lives(now));
        }
        if self.answers.len() >= MAX_ANSWERS {
            // Which ones does not matter: those in use come back.
            let gone: Vec<Key> = self.answers.keys().take(LET_GO).cloned().collect();
            gone.iter().for_each(|key| drop(self.answers.remove(key)));
        }
        self.answers.insert(key, answer);
    }

    /// Forgets what older rules let pass; a straggler does not bring them back.
    fn belong_to(&mut self, generation: u64) {
        if generation > self.generation {
            self.generation = generation;
            self.answers.clear();
        }
    }
}
