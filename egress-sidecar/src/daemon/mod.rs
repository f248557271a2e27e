//! The running daemon: what is brought up in which order, and the end.

mod bring_up;
mod gate;
pub mod health;
mod interception;
mod log;
mod powers;
mod ready;
mod serve;

use std::{future::Future, sync::Arc};

use anyhow::{Context, Result, ensure};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};

use crate::{
    api,
    audit::Audit,
    config::Config,
    memory,
    metrics::{Exporting, Metrics},
    sockets::Sockets,
    state::AppState,
    vault::store::Store,
};
use health::Health;

/// Runs until a signal ends it. Rules put into the kernel stay there: a namespace whose sidecar is gone reaches less,
/// not more.
pub fn run(config: Config) -> Result<()> {
    log::init(config.log_level);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    memory::stay_small();
    if let Err(error) = memory::close() {
        tracing::warn!(%error, "this process's memory is open to others");
    }
    if let Some(netns) = &config.netns {
        enter(netns).with_context(|| format!("cannot enter the network namespace {}", netns.display()))?;
    }
    if let Err(error) = powers::many_descriptors() {
        tracing::warn!(%error, "only few connections can be open at the same time");
    }
    if let Err(error) = powers::give_up() {
        tracing::warn!(%error, "this process may do more than it has to");
    }
    // Where there can be a vault, secrets pass through all kinds of memory.
    if config.intercept.enabled
        && let Err(error) = memory::lock()
    {
        tracing::warn!(%error, "secrets may be swapped out");
    }
    // Names and intercepted connections have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .thread_stack_size(BLOCKING_STACK)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(serve(config))
}

/// Changes of the rules are made on threads of this size.
const BLOCKING_STACK: usize = 512 * 1024;

async fn serve(config: Config) -> Result<()> {
    let ended = ended()?;
    let config = Arc::new(config);
    let health = Arc::new(Health::default());
    let address = config.http_addr;
    // Everybody who is told to be ready finds the API listening, and everything in force before.
    let sockets = Sockets::open(&config)?;
    // A full disk must not keep the sidecar away.
    if let Some(Err(error)) = config.state_dir.as_deref().map(|directory| sockets.note(directory)) {
        tracing::warn!(%error, "nobody can keep the sockets: their numbers are not noted");
    }
    let listener = TcpListener::from_std(sockets.api).context("cannot serve the API")?;
    let audit = Audit::start(config.state_dir.clone()).context("cannot start the audit log")?;
    let metrics = Arc::new(Metrics::default());
    let mut enforcement = bring_up::enforce(&config, sockets.dns, &health, audit.clone(), &metrics)?;
    let noting = bring_up::note_refused(&enforcement.engine, audit.clone());
    let vault = Arc::new(Store::new(config.intercept.vault_require_scoped_match));
    let pass = config.intercept.pass_hosts.clone();
    let gate = gate::PolicyGate::new(enforcement.engine.clone(), enforcement.dns.names(), pass);
    gate.guard(vault.clone());
    let state = AppState {
        config: Arc::clone(&config),
        health,
        engine: Arc::clone(&enforcement.engine),
        names: enforcement.dns.names(),
        gate: Arc::new(gate),
        vault,
        audit,
    };
    // Until it serves, redirected connections wait.
    let interception = match config.intercept.enabled {
        true => Some(interception::start(&state, sockets.intercept).await?),
        false => None,
    };
    let reloading = tokio::spawn(bring_up::reload_lists(enforcement.engine.clone(), config.lists_reload));
    let releasing = tokio::spawn(memory::release_after_work());
    let exporting = Exporting::start(&config, metrics, enforcement.dns.names());
    ready::tell(config.ready_fd);
    tracing::info!(%address, "serving");
    let mut failed = false;
    let stop = async {
        tokio::select! {
            () = ended => {}
            () = enforcement.dns.failed() => failed = true,
        }
    };
    serve::serve(listener, api::service(state), stop).await;
    if let Some(exporting) = exporting {
        exporting.stop().await;
    }
    reloading.abort();
    releasing.abort();
    noting.inspect(JoinHandle::abort);
    drop(interception);
    drop(enforcement);
    // Whoever started this starts another one; until then nothing passes that needs a name.
    ensure!(!failed, "the name server has ended");
    Ok(())
}

/// Called while there is only this thread, so all later ones are in the namespace too.
fn enter(netns: &std::path::Path) -> std::io::Result<()> {
    let namespace = std::fs::File::open(netns)?;
    let kind = rustix::thread::LinkNameSpaceType::Network;
    Ok(rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), Some(kind))?)
}

/// Done when somebody asks the daemon to end.
fn ended() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
