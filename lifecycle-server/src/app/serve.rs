//! The server from start to stop.

use std::{net::IpAddr, sync::Arc};

use anyhow::{Context as _, Result};
use sandkeep_idle::Activity;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    listen::{Listener, Options},
    membership::{self, Membership},
    parts, records, spare,
};
use crate::{
    api::{self, ApiState},
    config::Config,
    otel::Export,
};

/// Open files that are enough for any number of sandboxes and connections one machine can serve.
const DESCRIPTORS: u64 = 1 << 20;
const KERNEL_CEILING: &str = "/proc/sys/fs/nr_open";

/// Serves until SIGTERM or SIGINT. Sandboxes go on running after that.
///
/// # Errors
/// When a part cannot start; the text says which and why.
pub async fn serve(config: Config) -> Result<()> {
    raise_descriptor_limit();
    for key in config.without_effect() {
        tracing::warn!(key, "this part of the configuration has no effect here");
    }
    if config.server.api_key.is_none() && config.tenants.is_none() {
        tracing::warn!("serving without an API key: anybody who reaches this address can run programs");
    }
    let server = &config.server;
    let options = Options {
        backlog: server.backlog,
        keep_alive: server.keep_alive(),
        grace: server.graceful_shutdown(),
    };
    // The address first: a second server on it must not touch what the first one runs.
    let listener = Listener::bind(&server.host, server.port, options)
        .await
        .with_context(|| format!("cannot listen on {}:{}", server.host, server.port))?;
    let stop = stop_signal()?;

    // Before anything has to be written.
    spare::give_if_full(&config.native.state_dir);
    // Without its database, a server has nothing to do on this host.
    let shared = records::shared(&config).await?;
    let images = parts::open_served_images(&config).await?;
    // The runtime takes hold of the state directory: nothing in it may be changed before that.
    let runtime = parts::runtime(&config)?;
    let (service, snapshots, membership, _lock) = match shared {
        None => {
            let lock = records::lock(&config)?;
            let (service, snapshots) = records::open(&config, runtime, images.clone()).await?;
            (service, snapshots, None, Some(lock))
        }
        Some(store) => {
            let store = store.owned_by(&membership::identity(&config.native.state_dir)?);
            let address = own_address(&config, &listener)?;
            let membership = Membership::join(store.clone(), address, &config.native.state_dir).await?;
            let (service, snapshots) = records::take_over(&config, runtime, images.clone(), store).await?;
            (service, snapshots, Some(membership), None)
        }
    };
    let lost = membership.as_ref().map(Membership::lost);
    let export = Export::new(&config.otel)?;
    let tracer = export.as_ref().map(Export::tracer);
    let keys = parts::keys(&config)?;
    let state = ApiState::new(service.clone(), images, snapshots.clone(), keys, &config, tracer)?;
    let exporting = export.map(|export| {
        let (telemetry, service) = (state.telemetry.clone(), service.clone());
        export.run(move || telemetry.measured(&service.counts()))
    });
    tracing::info!(address = %listener.address()?, version = env!("CARGO_PKG_VERSION"), "serving");
    let gateway = gateway_listener(&config, options).await?.zip(api::gateway_router(state.clone()));
    let router = api::router(state);
    let ended = service.clone();
    let stop = async move {
        match lost {
            None => stop.await,
            Some(lost) => tokio::select! { () = stop => {}, () = lost => {} },
        }
        ended.end_subscriptions();
    };
    let activity = Arc::new(Activity::default());
    let serving = async {
        match gateway {
            None => listener.run(router, activity.clone(), stop).await,
            Some((gateway, gateway_router)) => {
                let stopping = CancellationToken::new();
                let stopped = stopping.clone();
                let both = async {
                    stop.await;
                    stopped.cancel();
                };
                let gateway = gateway.run(gateway_router, activity.clone(), stopping.cancelled());
                tokio::join!(listener.run(router, activity.clone(), both), gateway);
            }
        }
    };
    tokio::select! {
        () = serving => {}
        () = sandkeep_idle::release_when_idle(activity.clone()) => {}
        () = spare::keep(&config.native.state_dir) => {}
    }
    tracing::info!("stopping; sandboxes go on");
    if let Some(membership) = membership {
        membership.leave().await;
    }
    snapshots.shutdown().await;
    service.shutdown().await;
    if let Some(exporting) = exporting {
        exporting.stop().await;
    }
    Ok(())
}

async fn gateway_listener(config: &Config, options: Options) -> Result<Option<Listener>> {
    let Some((host, port)) = config.ingress.gateway().and_then(|gateway| gateway.listen) else {
        return Ok(None);
    };
    let listener = Listener::bind(&host, port, options).await;
    let listener = listener.with_context(|| format!("the gateway cannot listen on {host}:{port}"))?;
    tracing::info!(address = %listener.address()?, "the gateway listens");
    Ok(Some(listener))
}

/// Where other servers reach this one.
fn own_address(config: &Config, listener: &Listener) -> Result<String> {
    if let Some(address) = &config.store.postgresql.advertise {
        return Ok(address.clone());
    }
    let bound = listener.address()?;
    let host = match bound.ip() {
        // On every address of this machine: its name leads to one of them.
        ip if ip.is_unspecified() => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        IpAddr::V6(ip) => format!("[{ip}]"),
        IpAddr::V4(ip) => ip.to_string(),
    };
    Ok(format!("http://{host}:{}", bound.port()))
}

fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Each connection and each sandbox takes descriptors: as many as are useful, or else what the system allows.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let allowed = getrlimit(Resource::Nofile).maximum;
    if allowed.is_none_or(|allowed| allowed >= DESCRIPTORS) {
        let limit = Rlimit { current: Some(DESCRIPTORS), maximum: allowed };
        return setrlimit(Resource::Nofile, limit).unwrap_or_else(warn_of_limit);
    }
    // Root may raise its own ceiling, up to the kernel's.
    let ceiling = std::fs::read_to_string(KERNEL_CEILING).ok().and_then(|text| text.trim().parse().ok());
    let wanted = ceiling.unwrap_or(DESCRIPTORS).min(DESCRIPTORS);
    let raised = Rlimit { current: Some(wanted), maximum: Some(wanted) };
    setrlimit(Resource::Nofile, raised)
        .or_else(|_| setrlimit(Resource::Nofile, Rlimit { current: allowed, maximum: allowed }))
        .unwrap_or_else(warn_of_limit);
}

fn warn_of_limit(error: rustix::io::Errno) {
    tracing::warn!(%error, "the limit of open files could not be raised");
}
