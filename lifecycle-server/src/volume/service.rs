//! Opens the volumes of sandboxes and ends those that end with one.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use tokio::sync::Mutex;

use super::{
    Claim, Source, Volume, VolumeError, host,
    named::Shelf,
    ossfs::{Buckets, Wanted},
    sizes::{Size, Sizes},
};
use crate::runtime::MountedVolume;

/// The storage of this server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Volumes {
    allowed: Arc<[PathBuf]>,
    shelf: Shelf,
    buckets: Buckets,
    /// Held while named volumes appear or vanish.
    changing: Arc<Mutex<()>>,
    sizes: Arc<Sizes>,
}

impl Volumes {
    /// `directory` keeps named volumes; only what is below `allowed` may be mounted from the host; buckets are mounted
    /// below `buckets`.
    pub fn new(directory: PathBuf, allowed: Vec<PathBuf>, buckets: &Path) -> Self {
        let (shelf, buckets) = (Shelf::new(directory), Buckets::new(buckets));
        Self { allowed: allowed.into(), shelf, buckets, changing: Arc::default(), sizes: Arc::default() }
    }

    /// Opens what a sandbox mounts. The sandbox must be on record already, or a volume it relies on might vanish.
    /// What has no owners of its own is to belong to `owner`, the host's number of its root.
    pub async fn open(
        &self,
        sandbox: &str,
        volumes: &[Volume],
        owner: u32,
    ) -> Result<Vec<MountedVolume>, VolumeError> {
        if volumes.is_empty() {
            return Ok(Vec::new());
        }
        // Programs that may be slow, and that concern nobody else.
        for Volume { name, source, read_only, .. } in volumes {
            if let Source::Bucket(bucket) = source {
                let wanted = Wanted { sandbox, volume: name, bucket, owner, read_only: *read_only };
                self.buckets.mount(&wanted).await?;
            }
        }
        let alone = Arc::clone(&self.changing).lock_owned().await;
        let (this, sandbox, volumes) = (self.clone(), sandbox.to_owned(), volumes.to_owned());
        let work = move || {
            // Held to the end of this also when the caller goes away.
            let _alone = alone;
            volumes.iter().map(|volume| this.open_one(&sandbox, volume)).collect()
        };
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|error| Err(VolumeError::io("", "opening volumes", std::io::Error::other(error))))
    }

    fn open_one(&self, sandbox: &str, volume: &Volume) -> Result<MountedVolume, VolumeError> {
        let sub_path = volume.sub_path.as_deref();
        let source = match &volume.source {
            Source::Host { path } => host::open(volume, path, &self.allowed)?,
            Source::Named { claim, create, delete_with_sandbox } => {
                let claim = Claim { tenant: volume.tenant.clone(), name: claim.clone() };
                let create = create.then(|| delete_with_sandbox.then_some(sandbox));
                let is_new = create.is_some() && !self.shelf.has(&claim);
                if let Some(tenant) = &claim.tenant {
                    self.sizes.opened(tenant);
                }
                let opened = self.shelf.open(&volume.name, &claim, create, sub_path)?;
                if let Some(tenant) = claim.tenant.as_ref().filter(|_| is_new) {
                    self.sizes.changed(tenant);
                }
                opened
            }
            Source::Bucket(_) => self.buckets.open(sandbox, volume)?,
        };
        Ok(MountedVolume {
            name: volume.name.clone(),
            source: Arc::new(source),
            target: volume.mount_path.clone(),
            read_only: volume.read_only,
            has_owners: !matches!(volume.source, Source::Bucket(_)),
        })
    }

    /// Ends what was mounted for a sandbox of which nothing runs any more.
    pub async fn unmount(&self, sandbox: &str) {
        if !self.buckets.has(sandbox) {
            return;
        }
        let (buckets, sandbox) = (self.buckets.clone(), sandbox.to_owned());
        if let Err(error) = tokio::task::spawn_blocking(move || buckets.unmount(&sandbox)).await {
            tracing::error!(%error, "unmounting buckets failed");
        }
    }

    /// Removes the named volumes among `gone`'s that ended with a sandbox which is no more and that nobody uses. `living`
    /// tells of all sandboxes on record: their ids and volumes.
    pub async fn release(&self, gone: &[Volume], living: impl Fn() -> Vec<(String, Vec<Volume>)>) {
        let claims: Vec<Claim> = gone.iter().filter_map(Volume::claim).collect();
        if !claims.is_empty() {
            self.remove_ended(claims, living).await;
        }
    }

    /// Bytes that a tenant's named volumes took of the disk when that was measured last, if that may still be used.
    /// `written` says whether a sandbox of the tenant's may be writing to them.
    pub fn known_size(&self, tenant: &str, written: bool) -> Size {
        self.sizes.get(tenant, written, Instant::now())
    }

    /// Bytes that a tenant's named volumes take of the disk now, as far as they can be looked at: a look at every file.
    pub async fn measure(&self, tenant: &str, written: bool) -> u64 {
        let (at, begun) = (Instant::now(), self.sizes.begin(tenant, written));
        let (shelf, name) = (self.shelf.clone(), tenant.to_owned());
        let sized = tokio::task::spawn_blocking(move || shelf.size_of(&name)).await.ok();
        self.sizes.finish(tenant, &begun, at, sized);
        sized.unwrap_or_default()
    }

    /// Removes every named volume that ended with a sandbox which is no more, for a start after a crash.
    pub async fn recover(&self, living: impl Fn() -> Vec<(String, Vec<Volume>)>) {
        let (shelf, buckets) = (self.shelf.clone(), self.buckets.clone());
        let known: HashSet<String> = living().into_iter().map(|(id, _)| id).collect();
        let alone = self.changing.lock().await;
        let claims = tokio::task::spawn_blocking(move || {
            buckets.recover(|sandbox| known.contains(sandbox));
            shelf.drop_unfinished();
            shelf.claims()
        });
        let claims = claims.await.unwrap_or_default();
        drop(alone);
        self.remove_ended(claims, living).await;
    }

    async fn remove_ended(&self, claims: Vec<Claim>, living: impl Fn() -> Vec<(String, Vec<Volume>)>) {
        let alone = self.changing.lock().await;
        let living = living();
        let owners: HashSet<String> = living.iter().map(|(id, _)| id.clone()).collect();
        let used: HashSet<Claim> =
            living.iter().flat_map(|(_, volumes)| volumes.iter().filter_map(Volume::claim)).collect();
        let (shelf, sizes) = (self.shelf.clone(), Arc::clone(&self.sizes));
        let work = move || {
            for claim in claims.into_iter().filter(|claim| !used.contains(claim)) {
                let ended = shelf.ends_with(&claim).is_some_and(|owner| !owners.contains(&owner));
                if !ended {
                    continue;
                }
                match shelf.discard(&claim) {
                    Ok(()) => {
                        if let Some(tenant) = &claim.tenant {
                            sizes.changed(tenant);
                        }
                        tracing::info!(volume = %claim.name, "volume deleted with its sandbox");
                    }
                    Err(error) => {
                        tracing::error!(volume = %claim.name, %error, "a volume could not be deleted")
                    }
                }
            }
            shelf
        };
        let discarded = tokio::task::spawn_blocking(work).await;
        drop(alone);
        let swept = match discarded {
            Ok(shelf) => tokio::task::spawn_blocking(move || shelf.sweep()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = swept {
            tracing::error!(%error, "deleting volumes failed");
        }
    }
}
