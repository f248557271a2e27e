//! What interception asks the policy.

use std::{future::Future, io, net::IpAddr, pin::Pin};

use crate::vault::HostPattern;

/// What the policy says of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    /// The rule that decided, for the audit log.
    pub rule: Option<String>,
}

/// Answers from the policy, which changes while connections are open.
pub trait Gate: Send + Sync + 'static {
    /// Whether the namespace may speak to this host at this address. No name: it only gave an address.
    fn judge(&self, name: Option<&str>, address: IpAddr) -> Verdict;

    /// The addresses the namespace is told for a name, under the policy's rules.
    fn resolve(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + '_>>;

    /// The addresses of a name for the sidecar itself, whatever the policy says of it.
    fn find(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + '_>>;

    /// Whether secrets may be bound to these hosts: the policy lets requests to them pass, and they are read here.
    ///
    /// # Errors
    /// What is wrong with the host.
    fn covers(&self, host: &HostPattern) -> Result<(), &'static str>;

    /// Counts changes of the policy.
    fn changes(&self) -> tokio::sync::watch::Receiver<u64>;
}
