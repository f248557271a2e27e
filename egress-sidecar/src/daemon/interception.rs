//! Brings interception up: the authority, the proxy, and the vault's socket.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, Result};
use axum::{Extension, Router};
use tokio::{net::UnixListener, task::JoinSet};

use crate::{
    api::{INTERCEPTION, OwnSocket},
    audit::Audit,
    config::Config,
    intercept::{Authority, Gate, Proxy, Settings},
    state::AppState,
    vault::active,
};

/// What runs until it is dropped.
pub(super) struct Interception {
    _tasks: JoinSet<()>,
}

/// Listens for redirected connections. From when this returns the firewall can send them.
pub(super) async fn start(state: &AppState) -> Result<Interception> {
    let config = &state.config;
    let settings = &config.intercept;
    let authority = authority(config)?;
    let proxy = Settings {
        port: settings.port,
        trust_anything: settings.ssl_insecure,
        roots: settings.roots(),
        pass: settings.pass_hosts.clone(),
    };
    if settings.ssl_insecure {
        tracing::warn!("certificates of the outside are believed unchecked");
    }
    let (gate, audit): (Arc<dyn Gate>, Arc<Audit>) = (state.gate.clone(), state.audit.clone());
    let proxy = Proxy::bind(proxy, authority, gate, state.vault.clone(), audit)
        .await
        .with_context(|| format!("cannot listen for intercepted connections on port {}", settings.port))?;
    let socket = active::listen(&settings.vault_socket)
        .with_context(|| format!("cannot listen on {}", settings.vault_socket.display()))?;
    let mut tasks = JoinSet::new();
    let health = state.health.clone();
    tasks.spawn(async move {
        proxy.run().await;
        // It only ends when something is badly wrong.
        health.broken(INTERCEPTION, "mitmproxy not ready");
    });
    tasks.spawn(tell_active(socket, crate::api::active_service(state.clone())));
    Ok(Interception { _tasks: tasks })
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
