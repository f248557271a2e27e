//! Brings interception up: the authority, the proxy, and the vault's socket.

use std::{net::TcpListener, path::PathBuf, sync::Arc, thread};

use anyhow::{Context, Result};
use axum::{Extension, Router};
use tokio::{net::UnixListener, runtime, sync::oneshot, task::JoinSet};

use crate::{
    api::{INTERCEPTION, OwnSocket},
    audit::Audit,
    config::Config,
    intercept::{Authority, Gate, Proxy, Settings},
    state::AppState,
    vault::active,
};

const STACK: usize = 1 << 20;

/// What runs until it is dropped.
pub(super) struct Interception {
    _tasks: JoinSet<()>,
    /// Its other end is waited for by the proxy's thread.
    _alive: oneshot::Sender<()>,
}

/// Serves redirected connections.
///
/// All of it is on a thread of its own: both ends of a connection wake each other all the time, which costs little there
/// and much between two threads; and callers of the API do not wait for it.
pub(super) async fn start(state: &AppState, listeners: Vec<TcpListener>) -> Result<Interception> {
    let config = &state.config;
    let settings = &config.intercept;
    let authority = authority(config)?;
    let proxy = Settings {
        trust_anything: settings.ssl_insecure,
        roots: settings.roots(),
        upstream_proxy: settings.upstream_proxy.clone(),
        pass: settings.pass_hosts.clone(),
    };
    if settings.ssl_insecure {
        tracing::warn!("certificates of the outside are believed unchecked");
    }
    let socket = active::listen(&settings.vault_socket)
        .with_context(|| format!("cannot listen on {}", settings.vault_socket.display()))?;
    let (alive, ended) = oneshot::channel();
    let (told, bound) = oneshot::channel();
    let (gate, audit): (Arc<dyn Gate>, Arc<Audit>) = (state.gate.clone(), state.audit.clone());
    let (vault, health) = (state.vault.clone(), state.health.clone());
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("intercept".to_owned()).stack_size(STACK).spawn(move || {
        let serve = async {
            let proxy = match Proxy::new(listeners, proxy, authority, gate, vault, audit) {
                Ok(proxy) => proxy,
                Err(error) => return drop(told.send(Err(error))),
            };
            // Whoever waits for this may be gone; then so is the owner.
            let _ = told.send(Ok(()));
            tokio::select! {
                _ = ended => {}
                // It only ends when something is badly wrong.
                () = proxy.run() => health.broken(INTERCEPTION, "mitmproxy not ready"),
            }
        };
        runtime.block_on(serve);
    })?;
    let bound = bound.await.context("the proxy's thread has ended")?;
    bound.context("cannot serve intercepted connections")?;
    let mut tasks = JoinSet::new();
    tasks.spawn(tell_active(socket, crate::api::active_service(state.clone())));
    Ok(Interception { _tasks: tasks, _alive: alive })
}

/// The authority of this sandbox: kept where the starter says, else made anew and its certificate put where the sandbox
/// looks for it.
fn authority(config: &Config) -> Result<Authority> {
    match &config.state_dir {
        Some(directory) => {
            Authority::load_or_generate(directory).context("cannot keep the certificate authority")
        }
        None => {
            let authority = Authority::generate().context("cannot make a certificate authority")?;
            let path: &PathBuf = &config.intercept.ca_file;
            authority.write_certificate(path).context("cannot write the authority's certificate")?;
            Ok(authority)
        }
    }
}

async fn tell_active(socket: UnixListener, service: Router) {
    let service = service.layer(Extension(OwnSocket));
    if let Err(error) = axum::serve(socket, service).await {
        tracing::error!(%error, "the vault's socket is closed");
    }
}
