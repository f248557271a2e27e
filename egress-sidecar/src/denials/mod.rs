//! What was refused, told to the log and to a web hook.

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
        Self { recent: Mutex::new(Seldom::new(Instant::now())), hook, skip, audit }
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
}
