//! Putting the rules in force.

use std::{fs, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::health::Health;
use crate::{
    audit::Audit,
    config::{Config, Mode},
    denials::{Denials, GROUP, Packets, Webhook},
    dns::{self, Dns},
    engine::Engine,
    firewall::{Fixed, Intercept},
    metrics::Metrics,
    policy,
    sockets::Listeners,
};

/// Names whose refusal is not logged.
const LOG_SKIP_FILE: &str = "log_skip.always";
/// Whether packets in the middle of a connection nobody knows of begin to be one.
const LOOSE: &str = "/proc/sys/net/netfilter/nf_conntrack_tcp_loose";

/// What enforces the rules; dropping it ends the name server and leaves the rules in the kernel.
#[derive(Debug)]
pub(super) struct Enforcement {
    pub(super) engine: Arc<Engine>,
    pub(super) dns: Dns,
}

/// Puts everything in force, names and addresses. Questions find somebody who answers from the moment they are
/// redirected.
pub(super) fn enforce(
    config: &Config,
    listeners: Listeners,
    health: &Arc<Health>,
    audit: Arc<Audit>,
    metrics: &Arc<Metrics>,
) -> Result<Enforcement> {
    let engine = Arc::new(Engine::start(config, fixed(config), Arc::clone(metrics))?);
    if let Err(error) = engine.insist_on_own_source() {
        tracing::warn!(%error, "the kernel lets IPv6 packets pass that bear somebody else's source address");
    }
    // Every packet is judged anyhow; this only keeps strangers' connections out of the table.
    if let Err(error) = fs::write(LOOSE, "0") {
        tracing::warn!(%error, file = LOOSE, "packets of connections nobody knows of are remembered as connections");
    }
    let skip = policy::index_of(&config.rules_dir, LOG_SKIP_FILE).context(LOG_SKIP_FILE)?;
    let (webhook, hook) = match config.deny_webhook.clone() {
        Some(uri) => {
            let (webhook, hook) = Webhook::new(uri, &config.sandbox_id, config.intercept.roots());
            (Some(webhook), Some(hook))
        }
        None => (None, None),
    };
    let denials = Arc::new(Denials::new(skip, hook, audit));
    let (metrics, health) = (Arc::clone(metrics), Arc::clone(health));
    let dns = Dns::start(listeners, config, Arc::clone(&engine), denials, metrics, health, webhook)?;
    Ok(Enforcement { engine, dns })
}

/// Has refused packets noted. Where that does not work they are refused all the same.
pub(super) fn note_refused(engine: &Engine, audit: Arc<Audit>) -> Option<JoinHandle<()>> {
    if engine.mode() != Mode::DnsNft {
        return None;
    }
    match Packets::listen(audit).and_then(|packets| engine.tell_of_refused(GROUP).map(|()| packets)) {
        Ok(packets) => Some(tokio::spawn(packets.note())),
        Err(error) => {
            tracing::warn!(%error, "refused packets are not noted in the audit log");
            None
        }
    }
}

fn fixed(config: &Config) -> Fixed {
    let intercept = &config.intercept;
    Fixed {
        mode: config.mode,
        user: rustix::process::geteuid().as_raw(),
        dns_port: dns::PORT,
        api_port: config.http_addr.port(),
        exempt: config.nameserver_exempt.clone(),
        doh: config.block_doh.then(|| config.doh_blocklist.clone()),
        intercept: intercept
            .enabled
            .then(|| Intercept { ports: intercept.ports.clone(), to: intercept.port }),
        proxy: intercept.upstream_proxy.as_ref().and_then(|proxy| {
            let address = proxy.at.host.parse().ok()?;
            Some(SocketAddr::new(address, proxy.at.port))
        }),
    }
}

/// Follows changes of the lists above the policy.
pub(super) async fn reload_lists(engine: Arc<Engine>, period: Duration) {
    let mut turns = interval(period);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns.tick().await;
    loop {
        turns.tick().await;
        let engine = Arc::clone(&engine);
        let reloaded = tokio::task::spawn_blocking(move || engine.reload_lists()).await;
        match reloaded {
            Ok(Ok(true)) => tracing::info!("the lists above the policy have changed"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::error!(%error, "the lists above the policy are not read again"),
            Err(error) => tracing::error!(%error, "the lists above the policy are not read again"),
        }
    }
}
