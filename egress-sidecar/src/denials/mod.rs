//! What was refused, told to the log and to a web hook; and names that were allowed, to the audit log.

mod packets;
mod webhook;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use sandkeep_specs::egress::audit::AuditKind;
use tokio::sync::mpsc;

pub use self::{
    packets::{GROUP, Packets},
    webhook::Webhook,
};
use crate::{
    audit::{Audit, Event, Seldom},
    policy::{Index, Judgement, Source},
};

/// Where refusals are reported. Reporting never waits.
#[derive(Debug)]
pub struct Denials {
    recent: Mutex<Seldom>,
    /// Apart from refusals, which a flood of allowed names is not to hide.
    allowed: Mutex<Seldom>,
    hook: Option<mpsc::Sender<Box<str>>>,
    /// Names that are not worth a line.
    skip: Index,
    audit: Arc<Audit>,
}

fn word(source: Source) -> &'static str {
    match source {
        Source::AlwaysDeny => "deny.always",
        Source::AlwaysAllow => "allow.always",
        Source::Rule => "rule",
        Source::Doh => "known DoH server",
        Source::Default => "default",
    }
}

impl Denials {
    /// Reports to the log and the audit log, but not of names in `skip`, and to `hook`.
    #[must_use]
    pub fn new(skip: Index, hook: Option<mpsc::Sender<Box<str>>>, audit: Arc<Audit>) -> Self {
        let [recent, allowed] = [(); 2].map(|()| Mutex::new(Seldom::new(Instant::now())));
        Self { recent, allowed, hook, skip, audit }
    }

    /// A name was refused.
    pub fn name(&self, name: &str, judgement: &Judgement<'_>) {
        if let Some(unsaid) = self.report(name) {
            let (by, target) = (word(judgement.source), judgement.target.unwrap_or_default());
            tracing::info!(event = "denied", name, by, target, unsaid, "a name is refused");
            self.record(name, judgement.target, by.to_owned());
        }
    }

    /// A name was refused for the sake of one it is an alias of.
    pub fn alias(&self, name: &str, alias: &str, judgement: &Judgement<'_>) {
        if let Some(unsaid) = self.report(name) {
            let (by, target) = (word(judgement.source), judgement.target.unwrap_or_default());
            tracing::info!(
                event = "denied",
                name,
                alias,
                by,
                target,
                unsaid,
                "a name is refused for its alias"
            );
            self.record(name, judgement.target, format!("its alias {alias} is denied"));
        }
    }

    /// A name was refused because it stands for an address it must not stand for.
    pub fn address(&self, name: &str, address: IpAddr) {
        if let Some(unsaid) = self.report(name) {
            tracing::info!(event = "denied", name, %address, unsaid, "a name is refused for its address");
            self.record(name, None, format!("it stands for {address}"));
        }
    }

    /// A name was looked up outside and allowed.
    pub fn allowed(&self, name: &str, rule: Option<&str>) {
        let is_news = || {
            let mut allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
            allowed.tell(name, Instant::now()).is_some()
        };
        if self.skip.first(name).is_none() && is_news() {
            self.audit.record(Event {
                kind: Some(AuditKind::Dns),
                allowed: true,
                host: Some(name.to_owned()),
                rule: rule.map(str::to_owned),
                ..Event::default()
            });
        }
    }

    fn record(&self, name: &str, rule: Option<&str>, reason: String) {
        self.audit.record(Event {
            kind: Some(AuditKind::Dns),
            host: Some(name.to_owned()),
            rule: rule.map(str::to_owned),
            reason: Some(reason),
            ..Event::default()
        });
    }

    fn report(&self, name: &str) -> Option<u64> {
        if let Some(hook) = self.hook.as_ref().filter(|hook| hook.capacity() > 0) {
            // One that is full loses this one.
            let _ = hook.try_send(name.into());
        }
        if self.skip.first(name).is_some() {
            return None;
        }
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).tell(name, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_that_does_not_keep_up_loses_some() {
        let (hook, mut taken) = mpsc::channel(1);
        let denials = Denials::new(Index::new(["quiet.test"]), Some(hook), Arc::default());
        let judgement = Judgement { allowed: false, source: Source::Default, target: None };
        denials.name("quiet.test", &judgement);
        denials.name("b.test", &judgement);
        assert_eq!(taken.try_recv().as_deref(), Ok("quiet.test"));
        assert!(taken.try_recv().is_err());
        let audited = denials.audit.after(0, 10).entries;
        assert_eq!(audited.len(), 1);
        assert_eq!((audited[0].host.as_deref(), audited[0].allowed), (Some("b.test"), false));
    }

    #[test]
    fn allowed_names_are_noted_now_and_then() {
        let denials = Denials::new(Index::new(["quiet.test"]), None, Arc::default());
        for name in ["a.test", "a.test", "quiet.test"] {
            denials.allowed(name, Some("*.test"));
        }
        let audited = denials.audit.after(0, 10).entries;
        assert_eq!(audited.len(), 1);
        assert_eq!((audited[0].host.as_deref(), audited[0].allowed), (Some("a.test"), true));
        assert_eq!(audited[0].rule.as_deref(), Some("*.test"));
    }
}
