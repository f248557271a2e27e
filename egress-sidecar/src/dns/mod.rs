//! The name server every question is redirected to, whoever it was sent to.
//!
//! It lives on a thread of its own, so that neither callers of the API nor intercepted connections slow it down, nor
//! it them. Questions that need nobody else (denied, cached) are answered in batches where they are read; the others
//! become tasks.

mod answer;
mod cache;
mod client;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod random;
mod resolver;
mod tcp;
mod udp;
mod upstream;
mod wire;

use std::{rc::Rc, sync::Arc, thread};

use anyhow::Result;
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{sync::oneshot, task::LocalSet};

pub use self::client::Names;
use self::{resolver::Resolver, upstream::Upstreams};
use crate::{
    config::Config,
    daemon::health::Health,
    denials::{Denials, Webhook},
    engine::Engine,
    metrics::Metrics,
    sockets::Listeners,
};

/// Where questions are redirected to, on the loopback addresses: answers from elsewhere would not be translated back.
pub const PORT: u16 = 15353;
const STACK: usize = 512 * 1024;
const PART: &str = "dns";

/// The running name server; it ends when this is dropped.
#[derive(Debug)]
pub struct Dns {
    _alive: oneshot::Sender<()>,
    names: Names,
    failed: oneshot::Receiver<()>,
}

impl Dns {
    /// Begins to answer.
    pub fn start(
        listeners: Listeners,
        config: &Config,
        engine: Arc<Engine>,
        denials: Arc<Denials>,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
        webhook: Option<Webhook>,
    ) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (alive, ended) = oneshot::channel();
        let (failing, failed) = oneshot::channel();
        let (names, wanted) = client::channel();
        let (config, hook_names) = (config.clone(), names.clone());
        thread::Builder::new().name(PART.to_owned()).stack_size(STACK).spawn(move || {
            let upstreams = Upstreams::new(&config.upstreams, config.upstream_timeout, config.probe_interval);
            let upstreams = Rc::new(upstreams);
            let resolver = Rc::new(Resolver::new(engine, denials, metrics, Rc::clone(&upstreams)));
            let tasks = LocalSet::new();
            tasks.spawn_local(client::serve(wanted, Rc::clone(&resolver), Rc::clone(&upstreams)));
            if config.upstream_probe {
                tasks.spawn_local(Rc::clone(&upstreams).probe());
            }
            if let Some(webhook) = webhook {
                tasks.spawn_local(webhook.run(hook_names));
            }
            let mut serving = FuturesUnordered::new();
            for socket in listeners.udp {
                serving.push(tasks.spawn_local(udp::serve(socket, Rc::clone(&resolver))));
            }
            for listener in listeners.tcp {
                serving.push(tasks.spawn_local(tcp::serve(listener, Rc::clone(&resolver))));
            }
            tasks.block_on(&runtime, async {
                tokio::select! {
                    // The owner is gone, either way.
                    _ = ended => {}
                    Some(served) = serving.next() => {
                        tracing::error!(?served, "the name server has ended");
                        health.broken(PART, "dns not ready");
                        // Whoever waits for that may be gone too.
                        let _ = failing.send(());
                    }
                }
            });
        })?;
        Ok(Self { _alive: alive, names, failed })
    }

    /// Returns when the name server has ended by itself, which it never should.
    pub async fn failed(&mut self) {
        // Its thread cannot end in any other way while it has an owner, but by a panic.
        let _ = (&mut self.failed).await;
    }

    /// Who asks for names on behalf of the namespace.
    #[must_use]
    pub fn names(&self) -> Names {
        self.names.clone()
    }
}
