//! Takes redirected connections.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdTcpListener},
    os::fd::AsFd,
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::sleep,
};

use super::{
    Authority, Gate, Shared, bounded,
    connect::{Connector, Trust},
    original, pool, session,
    way::Through,
};
use crate::{
    audit::Audit, config::UpstreamProxy, memory, roots::Roots, vault::HostPattern, vault::store::Store,
};

/// Connections open at the same time; later ones wait.
const MOST: usize = 4096;
/// Pause after the system refused a connection for want of resources.
const PAUSE: Duration = Duration::from_millis(50);
/// Connections let go of are freed by tasks of their own, which takes no longer.
const SETTLE: Duration = Duration::from_millis(500);
/// A client that acknowledges nothing for so long is gone.
const SILENCE_LIMIT: Duration = Duration::from_secs(120);

/// How the proxy is set up.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Whether certificates are believed unchecked. Secrets stay in the vault then.
    pub trust_anything: bool,
    /// Whose certificates are believed.
    pub roots: Roots,
    /// What connections to the outside go through.
    pub upstream_proxy: Option<UpstreamProxy>,
    /// Hosts whose connections are passed on unopened.
    pub pass: Vec<HostPattern>,
}

/// The intercepting proxy.
pub struct Proxy {
    listeners: Vec<TcpListener>,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Serves these sockets, on the runtime that calls.
    ///
    /// # Errors
    /// If they cannot be waited for.
    pub fn new(
        listeners: Vec<StdTcpListener>,
        settings: Settings,
        authority: Authority,
        gate: Arc<dyn Gate>,
        vault: Arc<Store>,
        audit: Arc<Audit>,
    ) -> io::Result<Self> {
        let listeners = listeners.into_iter().map(TcpListener::from_std).collect::<io::Result<_>>()?;
        let trust = Trust { anything: settings.trust_anything, roots: settings.roots.clone() };
        let through = settings.upstream_proxy.clone().map(|proxy| Through::new(proxy, gate.clone()));
        let connector = Connector::new(trust, through);
        let pool = pool::Pool::default();
        let authority = Arc::new(authority);
        let server_configs = session::ServerConfigs::new(authority.clone());
        let shared = Shared { settings, authority, server_configs, gate, vault, audit, connector, pool };
        Ok(Self { listeners, shared: Arc::new(shared) })
    }

    /// Serves until it is dropped.
    pub async fn run(self) {
        let slots = Arc::new(Semaphore::new(MOST));
        let mut tasks = tokio::task::JoinSet::new();
        for listener in self.listeners {
            tasks.spawn(accept(listener, self.shared.clone(), slots.clone()));
        }
        self.shared.connector.prepare().await;
        // To read the authorities took more than they do.
        memory::release();
        tokio::select! {
            () = async { while tasks.join_next().await.is_some() {} } => {}
            () = let_go(&self.shared) => {}
        }
    }
}

/// Closes connections that were kept for too long, where nobody comes who would. Never returns.
async fn let_go(shared: &Shared) {
    loop {
        sleep(pool::LONGEST / 4).await;
        if shared.pool.let_go() {
            sleep(SETTLE).await;
            memory::release();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, slots: Arc<Semaphore>) {
    // Dropped together with this, and with it all connections.
    let mut connections = tokio::task::JoinSet::new();
    let mut most_held = 0;
    loop {
        most_held = memory::release_if_left(most_held);
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = async {
                uncrowded().await;
                listener.accept().await
            } => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                let shared = shared.clone();
                connections.spawn(async move {
                    if let Err(error) = connection(stream, shared).await {
                        tracing::debug!(%error, "an intercepted connection ended early");
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot take an intercepted connection");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Waits until there is memory for another connection.
async fn uncrowded() {
    if bounded::is_crowded() {
        tracing::warn!("intercepted connections hold too much memory; new ones wait");
    }
    while bounded::is_crowded() {
        sleep(PAUSE).await;
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let destination = canonical(original::destination(stream.as_fd(), stream.local_addr()?)?);
    // Only costs a delay where it fails.
    let _ = stream.set_nodelay(true);
    rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
    let silence = u32::try_from(SILENCE_LIMIT.as_millis()).unwrap_or(u32::MAX);
    rustix::net::sockopt::set_tcp_user_timeout(&stream, silence)?;
    session::serve(stream, destination, shared).await
}

/// IPv4 as IPv4, however it was written.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
