//! The records a server begins with, and what stands on them.

use std::{
    fs::{File, TryLockError},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};

use super::parts;
use crate::{
    config::Config,
    image::ImageStore,
    library::Library,
    runtime::Runtime,
    sandbox::{Collector, EgressOptions, Service, ServiceOptions, UpstreamProxy},
    snapshot::Snapshots,
    store::{Store, StoreError},
    volume::Volumes,
};

/// A create whose image takes longer is answered with the sandbox still pending; clients wait half a minute.
const CREATE_WAIT: Duration = Duration::from_secs(20);

/// Directory of named volumes under the state directory.
const VOLUMES: &str = "volumes";
/// Directory under it where buckets are mounted.
const BUCKETS: &str = "buckets";
/// What the name of the lock has more than that of the file of records.
const LOCK: &str = ".lock";

/// The store in PostgreSQL, if that is the one chosen.
pub(super) async fn shared(config: &Config) -> Result<Option<Store>> {
    let options = config.store.postgresql().map_err(|(key, problem)| anyhow!("{key}: {problem}"))?;
    let Some(options) = options else { return Ok(None) };
    let store = Store::connect(&options).await.context("cannot use the store in PostgreSQL")?;
    Ok(Some(store))
}

/// Takes hold of the file of records for as long as the answer lives. Two servers on it, each with its own state directory,
/// would take the sandboxes of the other for its own lost ones.
pub(super) fn lock(config: &Config) -> Result<File> {
    let database = config.store.database(&config.native.state_dir);
    // Beside the file: SQLite loses its own locks on it when anybody here closes it.
    let mut path = database.clone().into_os_string();
    path.push(LOCK);
    let lock = database.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| File::create(&path));
    let lock = lock.with_context(|| format!("cannot create {}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => bail!(
            "another server uses the database {}; give each server its own, or all of them one in PostgreSQL",
            database.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Takes over with the records in the state directory. Damaged ones are only shown: a server that took what it cannot
/// read for what does not exist would remove running sandboxes.
pub(super) async fn open(
    config: &Config,
    runtime: Arc<dyn Runtime>,
    images: ImageStore,
) -> Result<(Service, Snapshots)> {
    let path = config.store.database(&config.native.state_dir);
    let damage = match Store::open(&path).await {
        Ok(store) => return take_over(config, runtime, images, store).await,
        Err(damage @ StoreError::Damaged { .. }) => damage,
        Err(error) => {
            return Err(error).with_context(|| format!("cannot open the store {}", path.display()));
        }
    };
    let records = Store::salvage(&path).await.context("cannot read what is left of the records")?;
    tracing::error!(error = %damage, readable = records.len(), "serving READ-ONLY");
    let library = Arc::new(Library::new(images.clone()));
    let service = Service::show(runtime, library, records, options(config)?)
        .await
        .context("cannot show what is on this host")?;
    let snapshots = Snapshots::idle(service.clone(), images, Store::in_memory().await?);
    Ok((service, snapshots))
}

/// Takes over what is on this host with sound records.
pub(super) async fn take_over(
    config: &Config,
    runtime: Arc<dyn Runtime>,
    images: ImageStore,
    store: Store,
) -> Result<(Service, Snapshots)> {
    let library = Arc::new(Library::new(images.clone()));
    let service = Service::start(runtime, library, store.clone(), options(config)?)
        .await
        .context("cannot take over what is on this host")?;
    let snapshots = Snapshots::start(service.clone(), images, store)
        .await
        .context("cannot take over the snapshots on this host")?;
    Ok((service, snapshots))
}

fn options(config: &Config) -> Result<ServiceOptions> {
    let directory = config.native.state_dir.join(VOLUMES);
    let own = || config.native.state_dir.join(BUCKETS);
    let buckets = config.storage.ossfs_mount_root.clone().unwrap_or_else(own);
    Ok(ServiceOptions {
        create_wait: CREATE_WAIT,
        env: config.docker.sandbox_env.clone().into_iter().collect(),
        committed_memory: parts::committed_memory(&config.native)?,
        volumes: Volumes::new(directory, config.storage.allowed_host_paths.clone(), &buckets),
        egress: EgressOptions {
            mode: config.egress.mode.clone(),
            patience: config.egress.patience(),
            trusted_ca: config.egress.believed(),
            proxy: config.egress.upstream_proxy.as_ref().map(|proxy| UpstreamProxy {
                url: proxy.url.clone(),
                authorization: proxy.authorization.clone(),
            }),
            collector: config.egress.collector().map(|endpoint| Collector {
                endpoint: endpoint.to_owned(),
                interval: config.otel.export_interval(),
            }),
        },
    })
}
