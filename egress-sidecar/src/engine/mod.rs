//! Keeps names and addresses of one mind: every change of the rules reaches the kernel and the judge of names together.

mod seen;

use std::{
    io,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use self::seen::Seen;
use crate::{
    config::{Config, Mode},
    firewall::{Firewall, Fixed, Plan},
    metrics::{Count, Metrics},
    policy::{self, Action, Judge, Lists, Policy, Rule},
};

const FIRST_GENERATION: u64 = 1;

/// Somebody who may object to a policy, with the reason.
pub type Objection = dyn Fn(&Policy) -> Result<(), String> + Send + Sync;

/// Why a policy is not in force.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("too many rules: {given}, and {most} are the most there may be")]
    TooMany { given: usize, most: usize },
    #[error("{0}")]
    Objected(String),
    #[error("cannot keep the policy: {0}")]
    Store(#[source] io::Error),
    #[error("cannot put the policy in force: {0}")]
    Kernel(#[source] io::Error),
}

/// Why addresses do not pass.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// The name was judged by rules that are no longer in force.
    #[error("the rules have changed")]
    Stale,
    #[error("too many addresses are known")]
    Full,
    #[error("cannot tell the kernel: {0}")]
    Kernel(#[source] io::Error),
}

/// The rules in force.
pub struct Engine {
    current: RwLock<Arc<Judge>>,
    /// Held by one change at a time, so that each builds on the one before.
    changes: Mutex<()>,
    kernel: Mutex<Kernel>,
    mode: Mode,
    max_rules: Option<usize>,
    policy_file: Option<PathBuf>,
    rules_dir: PathBuf,
    objection: OnceLock<Box<Objection>>,
    /// The generation in force, for those who wait for the next.
    generation: watch::Sender<u64>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Kernel {
    firewall: Firewall,
    seen: Seen,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl Engine {
    /// Puts the first policy in force: from here on nothing passes but what it allows.
    pub fn start(config: &Config, fixed: Fixed, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        use anyhow::Context;
        let policy = policy::load(config.policy_file.as_deref(), &config.rules)?;
        let lists = Lists::load(&config.rules_dir)
            .with_context(|| format!("cannot read the lists in {}", config.rules_dir.display()))?;
        let judge = Judge::new(FIRST_GENERATION, policy, lists, config.mode == Mode::DnsNft);
        let firewall = Firewall::start(fixed, &plan(&judge, &mut Seen::default(), Instant::now()))
            .context("cannot put the firewall in force (are nftables and CAP_NET_ADMIN there?)")?;
        if config.mode == Mode::DnsNft {
            metrics.in_force(judge.policy.rules.len());
        }
        Ok(Self {
            current: RwLock::new(Arc::new(judge)),
            changes: Mutex::default(),
            kernel: Mutex::new(Kernel { firewall, seen: Seen::default() }),
            mode: config.mode,
            max_rules: config.max_rules,
            policy_file: config.policy_file.clone(),
            rules_dir: config.rules_dir.clone(),
            objection: OnceLock::new(),
            generation: watch::Sender::new(FIRST_GENERATION),
            metrics,
        })
    }

    /// Lets `objection` have its say about every later policy; only the first such call counts.
    pub fn object(&self, objection: Box<Objection>) {
        // There is one vault, and one call.
        let _ = self.objection.set(objection);
    }

    /// What names and addresses are judged by at this moment.
    #[must_use]
    pub fn judge(&self) -> Arc<Judge> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells of every change of the rules.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Has the kernel tell this group of netlink's log of refused packets, where packets are refused.
    pub fn tell_of_refused(&self, group: u16) -> io::Result<()> {
        lock(&self.kernel).firewall.tell_of_refused(group)
    }

    /// Drops packets in somebody else's name, where addresses are judged and the kernel can tell.
    pub fn insist_on_own_source(&self) -> io::Result<()> {
        match self.mode() {
            Mode::DnsNft => lock(&self.kernel).firewall.insist_on_own_source(),
            Mode::Dns => Ok(()),
        }
    }

    /// Replaces the policy. Blocks for the disk and the kernel.
    pub fn replace(&self, policy: Policy) -> Result<(), EngineError> {
        let _turn = lock(&self.changes);
        self.change(policy)
    }

    /// Puts rules before those there are. Blocks for the disk and the kernel.
    pub fn patch(&self, rules: Vec<Rule>) -> Result<(), EngineError> {
        let _turn = lock(&self.changes);
        self.change(policy::patch(&self.judge().policy, rules))
    }

    /// Takes out the rules about these targets; `false` when there are none. Blocks for the disk and the kernel.
    pub fn forget(&self, targets: &[String]) -> Result<bool, EngineError> {
        let _turn = lock(&self.changes);
        match policy::forget(&self.judge().policy, targets) {
            Some(policy) => self.change(policy).map(|()| true),
            None => Ok(false),
        }
    }

    /// Reads the lists above the policy again; `true` when they have changed. Blocks for the disk and the kernel.
    pub fn reload_lists(&self) -> Result<bool, EngineError> {
        let lists = Lists::load(&self.rules_dir).map_err(EngineError::Store)?;
        let _turn = lock(&self.changes);
        let current = self.judge();
        if *current.lists() == lists {
            return Ok(false);
        }
        self.enforce(current.policy.clone(), lists).map_err(EngineError::Kernel)?;
        Ok(true)
    }

    fn change(&self, policy: Policy) -> Result<(), EngineError> {
        let given = policy.rules.len();
        if let Some(most) = self.max_rules.filter(|most| given > *most) {
            return Err(EngineError::TooMany { given, most });
        }
        if let Some(objection) = self.objection.get() {
            objection(&policy).map_err(EngineError::Objected)?;
        }
        if let Some(file) = &self.policy_file {
            policy::save(file, &policy).map_err(EngineError::Store)?;
        }
        let lists = self.judge().lists().clone();
        self.enforce(policy, lists).map_err(|error| {
            // What is not in force must not come into force with the next start.
            if let Some(file) = &self.policy_file
                && let Err(error) = policy::save(file, &self.judge().policy)
            {
                tracing::error!(%error, "the policy file has a policy that is not in force");
            }
            EngineError::Kernel(error)
        })
    }

    /// The kernel first, then the judge; no address is admitted in between.
    fn enforce(&self, policy: Policy, lists: Lists) -> io::Result<()> {
        let strict = self.mode == Mode::DnsNft;
        let judge = Judge::new(self.judge().generation + 1, policy, lists, strict);
        let mut kernel = lock(&self.kernel);
        if strict {
            let plan = plan(&judge, &mut kernel.seen, Instant::now());
            kernel.firewall.replace(&plan).inspect_err(|_| self.metrics.count(Count::ApplyFailed))?;
            self.metrics.in_force(judge.policy.rules.len());
        }
        let generation = judge.generation;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(judge);
        self.generation.send_replace(generation);
        Ok(())
    }

    /// Lets the addresses pass that an allowed name stands for; they do when this returns. `chain` is the name and all
    /// its aliases, as judged by the rules of that generation.
    pub fn admit(
        &self,
        generation: u64,
        chain: &[Box<str>],
        addresses: &[IpAddr],
        ttl: Duration,
    ) -> Result<(), AdmitError> {
        if self.mode != Mode::DnsNft || addresses.is_empty() {
            return Ok(());
        }
        let mut kernel = lock(&self.kernel);
        let judge = self.judge();
        if judge.generation != generation {
            return Err(AdmitError::Stale);
        }
        let Kernel { firewall, seen } = &mut *kernel;
        let Some(named) = seen.note(chain, addresses, ttl, Instant::now()) else {
            self.metrics.count(Count::AddFailed);
            return Err(AdmitError::Full);
        };
        // What passes by default needs no leave; giving it would open what stands between the rules and the default.
        if chain.first().is_some_and(|name| judge.spoken(name).is_some_and(|word| word.allowed)) {
            let added = firewall.admit(&named).or_else(|error| match error.raw_os_error() {
                // Full of addresses that were forgotten here: new sets have only those that were not.
                Some(libc::ENFILE) => firewall.replace(&plan(&judge, seen, Instant::now())),
                _ => Err(error),
            });
            self.metrics.count(if added.is_ok() { Count::Update } else { Count::AddFailed });
            added.map_err(AdmitError::Kernel)?;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the kernel is told of these rules, given what names were found to stand for.
fn plan(judge: &Judge, seen: &mut Seen, now: Instant) -> Plan {
    let ([always_deny, deny], [always_allow, allow]) = judge.blocks();
    let (named, cut) = seen.sort(judge, now);
    Plan {
        default_allow: judge.policy.default_action == Action::Allow,
        always_deny: always_deny.clone(),
        always_allow: always_allow.clone(),
        deny: deny.clone(),
        allow: allow.clone(),
        named,
        cut,
    }
}
