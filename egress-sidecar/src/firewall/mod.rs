//! What the kernel lets pass, as one nftables table, spoken to over netlink.
//!
//! Rules change in one transaction: a packet meets all of the old ones or all of the new ones. What a policy says of
//! addresses is in sets of its own, filled before the rules that look into them are there; what names stand for comes and
//! goes in sets with a time to live. Packets are judged before their destination is rewritten, each of them
//! and not only the first of a connection, so that a connection ends with the rule that let it pass.

mod chains;
mod mark;
mod message;
mod rule;
mod set;
mod socket;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

pub use self::mark::mark;
use self::{message::Batch, set::Element, socket::Socket};
use crate::config::{Cidr, Mode};

/// Name of the table.
pub const TABLE: &str = "opensandbox";
/// Mark on the sidecar's own sockets, so that its own packets pass.
pub static OWN_MARK: u32 = 0x1;

/// What never changes while the sidecar runs.
#[derive(Debug, Clone)]
pub struct Fixed {
    pub mode: Mode,
    /// Whose sockets may bear the mark.
    pub user: u32,
    /// Where questions of names are redirected to.
    pub dns_port: u16,
    /// Where the API listens.
    pub api_port: u16,
    /// Name servers the namespace may ask itself.
    pub exempt: Vec<IpAddr>,
    /// HTTPS to name servers is blocked: to these, or all of it when there are none.
    pub doh: Option<Vec<Cidr>>,
    pub intercept: Option<Intercept>,
    /// What the sidecar's connections go through, and nobody else's.
    pub proxy: Option<SocketAddr>,
}

/// Connections that go through the local proxy.
#[derive(Debug, Clone)]
pub struct Intercept {
    /// TCP ports whose connections are redirected.
    pub ports: Vec<u16>,
    /// Where the proxy listens, on the loopback address.
    pub to: u16,
}

/// What a policy says of addresses.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Whether an address nothing is known of is reached.
    pub default_allow: bool,
    /// In order: the first of these lists that has the address decides.
    pub always_deny: Vec<Cidr>,
    pub always_allow: Vec<Cidr>,
    pub deny: Vec<Cidr>,
    pub allow: Vec<Cidr>,
    /// Addresses of allowed names.
    pub named: Vec<Named>,
    /// Addresses of names that were allowed and are denied now.
    pub cut: Vec<IpAddr>,
}

/// An address an allowed name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    pub address: IpAddr,
    /// How long connections to it may begin; `None` means no more.
    pub begin: Option<Duration>,
    /// How long those that have begun may last.
    pub last: Duration,
    /// Whether it is in the kernel already.
    pub known: bool,
}

/// The table in the kernel.
#[derive(Debug)]
pub struct Firewall {
    socket: Socket,
    fixed: Fixed,
    generation: u64,
    /// Sets of the generation in force.
    sets: Vec<String>,
}

/// Sets that rules can ask.
struct Filled {
    /// Their names.
    sets: Vec<String>,
    /// Which lists have one, for IPv4 and IPv6.
    lists: [[bool; 2]; chains::LISTS.len()],
}

impl Firewall {
    /// Puts the table in force, in place of one an earlier sidecar left.
    pub fn start(fixed: Fixed, plan: &Plan) -> io::Result<Self> {
        let mut firewall = Self { socket: Socket::new()?, fixed, generation: 0, sets: Vec::new() };
        let mut batch = firewall.socket.batch();
        chains::add_table(&mut batch, &firewall.fixed);
        let filled = firewall.fill(&mut batch, plan, 1);
        firewall.rule(&mut batch, plan, &filled, 1);
        firewall.socket.commit(batch)?;
        (firewall.generation, firewall.sets) = (1, filled.sets);
        Ok(firewall)
    }

    /// Replaces what is said of addresses.
    ///
    /// In two steps: a kernel may show what is in a new set only a moment after the rules that ask it.
    pub fn replace(&mut self, plan: &Plan) -> io::Result<()> {
        let generation = self.generation + 1;
        let mut batch = self.socket.batch();
        let filled = self.fill(&mut batch, plan, generation);
        self.socket.commit(batch)?;
        let mut batch = self.socket.batch();
        self.rule(&mut batch, plan, &filled, generation);
        if let Err(error) = self.socket.commit(batch) {
            // Without rules that ask them they would only be in the way of the next ones.
            let mut batch = self.socket.batch();
            filled.sets.iter().for_each(|set| set::delete(&mut batch, set));
            self.socket.commit(batch)?;
            return Err(error);
        }
        (self.generation, self.sets) = (generation, filled.sets);
        Ok(())
    }

    /// Has the kernel tell this group of refused packets, some of them when there are many. Whether anybody listens
    /// changes nothing.
    pub fn tell_of_refused(&mut self, group: u16) -> io::Result<()> {
        let mut batch = self.socket.batch();
        chains::tell_of_refused(&mut batch, group);
        self.socket.commit(batch)
    }

    /// Drops packets in somebody else's name. Apart from the rest, as not every kernel can.
    pub fn insist_on_own_source(&mut self) -> io::Result<()> {
        let mut batch = self.socket.batch();
        chains::insist_on_own_source(&mut batch);
        self.socket.commit(batch)
    }

    /// The sets of a generation.
    fn fill(&self, batch: &mut Batch, plan: &Plan, generation: u64) -> Filled {
        let mut sets = Vec::new();
        let mut lists = [const { [false; 2] }; chains::LISTS.len()];
        if self.fixed.mode == Mode::DnsNft {
            for (list, (blocks, present)) in
                chains::lists(&self.fixed, plan).into_iter().zip(&mut lists).enumerate()
            {
                for v6 in [false, true] {
                    let family: Vec<Cidr> =
                        blocks.iter().filter(|block| block.first().is_ipv6() == v6).copied().collect();
                    if !family.is_empty() {
                        let name = chains::set_name(chains::LISTS[list], v6, generation);
                        set::add_blocks(batch, &name, v6, &family);
                        sets.push(name);
                        present[usize::from(v6)] = true;
                    }
                }
            }
            for v6 in [false, true] {
                for kind in [chains::BEGIN, chains::LAST] {
                    let name = chains::set_name(kind, v6, generation);
                    set::add_timed(batch, &name, v6);
                    sets.push(name);
                }
            }
            self.add_named(batch, &plan.named, generation, false);
        }
        Filled { sets, lists }
    }

    /// The rules of a generation, in place of those in force and their sets.
    fn rule(&self, batch: &mut Batch, plan: &Plan, filled: &Filled, generation: u64) {
        chains::replace_rules(batch, &self.fixed, plan.default_allow, &filled.lists, generation);
        for old in &self.sets {
            set::delete(batch, old);
        }
    }

    /// Lets addresses of an allowed name pass; they do when this returns.
    pub fn admit(&mut self, named: &[Named]) -> io::Result<()> {
        if self.fixed.mode != Mode::DnsNft {
            return Ok(());
        }
        let mut batch = self.socket.batch();
        self.add_named(&mut batch, named, self.generation, true);
        match self.socket.commit(batch) {
            // One of those to be renewed has just run out.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                let mut batch = self.socket.batch();
                self.add_named(&mut batch, named, self.generation, false);
                self.socket.commit(batch)
            }
            other => other,
        }
    }

    /// Adds addresses with their times. Kernels before 6.12 keep the old time of an element they have, so with `renew`
    /// those are taken out first, in the same transaction.
    fn add_named(&self, batch: &mut Batch, named: &[Named], generation: u64, renew: bool) {
        for v6 in [false, true] {
            let ours = || named.iter().filter(move |named| named.address.is_ipv6() == v6);
            let element = |address, timeout| Element { address, end: false, timeout: Some(timeout) };
            let begin: Vec<Element> =
                ours().filter_map(|named| Some(element(named.address, named.begin?))).collect();
            let last: Vec<Element> = ours().map(|named| element(named.address, named.last)).collect();
            let known: Vec<Element> = ours()
                .filter(|named| named.known && renew)
                .map(|named| Element { address: named.address, end: false, timeout: None })
                .collect();
            for (kind, elements) in [(chains::BEGIN, begin), (chains::LAST, last)] {
                let name = chains::set_name(kind, v6, generation);
                set::delete_elements(batch, &name, &known);
                set::add_elements(batch, &name, &elements);
            }
        }
    }
}
