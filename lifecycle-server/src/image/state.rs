//! The store's state on disk: what exists, what is in use, what may go. Everything here blocks, briefly.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    io::{ErrorKind, Write},
    path::Path,
    time::{Duration, SystemTime},
};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{
    config::Configuration,
    digest::Digest,
    error::{Context, ImageError},
    index::{Index, Record},
    layout::{Layout, names, write_atomically},
    lock::FileLock,
    reference::Query,
    space::Watermark,
    types::{Freed, Image, Lease, Removed, StoreOptions},
};

/// How long a broken download waits to be continued.
const PARTIAL_LIFETIME: Duration = Duration::from_secs(24 * 3600);
const MAX_OWNER: usize = 128;

pub(super) struct State {
    pub(super) layout: Layout,
    pub(super) options: StoreOptions,
    pub(super) space: Watermark,
    /// Unpacking keeps a processor busy: no more at once than there are.
    pub(super) unpacking: Semaphore,
    index: Index,
}

/// An image whose layers are all there, to be entered into the index.
pub(super) struct NewImage {
    pub(super) configuration: Configuration,
    pub(super) config_bytes: Vec<u8>,
    /// Digest and bytes, when there is one.
    pub(super) manifest: Option<(Digest, Vec<u8>)>,
    pub(super) names: Vec<String>,
    pub(super) digest: Option<String>,
    /// Tenants that may use it; `None` is everybody.
    pub(super) readers: Option<BTreeSet<String>>,
}

/// Keeps layers from being collected while an image is put together. Ends with its process, however that ends.
pub(super) struct Pin(Option<FileLock>);

impl Drop for Pin {
    fn drop(&mut self) {
        if let Some(lock) = self.0.take() {
            lock.remove();
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct LayerFile {
    pub(super) size_bytes: u64,
}

impl State {
    pub(super) fn open(dir: &Path, options: StoreOptions) -> Result<Self, ImageError> {
        let layout = Layout::create(dir)?;
        let space = Watermark {
            dir: layout.root().to_owned(),
            min_bytes: options.min_free_bytes,
            min_percent: options.min_free_percent,
        };
        let index = Index::open(&layout)?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let state = Self { layout, options, space, unpacking: Semaphore::new(processors), index };
        // Compiling the pattern takes milliseconds; no request should pay for that.
        let _ = Query::parse("warm/up:now");
        let lock = state.lock_exclusive()?;
        let mut freed = Freed::default();
        state.clean_leftovers(&mut freed)?;
        drop(lock);
        // Deleting an image can take seconds, and nobody waits for its space yet.
        let layout = state.layout.clone();
        std::thread::spawn(move || empty_discarded(&layout));
        Ok(state)
    }

    fn lock_exclusive(&self) -> Result<FileLock, ImageError> {
        FileLock::acquire_short(&self.layout.lock(), false)
    }

    fn lock_shared(&self) -> Result<FileLock, ImageError> {
        FileLock::acquire_short(&self.layout.lock(), true)
    }

    pub(super) fn find(&self, query: &Query) -> Result<Option<Image>, ImageError> {
        Ok(self.index.snapshot()?.find(query).map(|record| record.to_image(&self.layout)))
    }

    /// The index's own entry of an image.
    pub(super) fn record(&self, query: &Query) -> Result<Record, ImageError> {
        let (Query::Id(asked) | Query::Tag(asked) | Query::Manifest(asked)) = query;
        let missing = || ImageError::NotFound(format!("no image {asked} in the store"));
        self.index.snapshot()?.find(query).cloned().ok_or_else(missing)
    }

    pub(super) fn records(&self) -> Result<Vec<Record>, ImageError> {
        Ok(self.index.snapshot()?.records.clone())
    }

    pub(super) fn list(&self) -> Result<Vec<Image>, ImageError> {
        let snapshot = self.index.snapshot()?;
        Ok(snapshot.records.iter().map(|record| record.to_image(&self.layout)).collect())
    }

    pub(super) fn has_layer(&self, diff_id: &Digest) -> bool {
        self.layout.layer(diff_id).exists()
    }

    fn layer_size(&self, diff_id: &Digest) -> Result<u64, ImageError> {
        let path = self.layout.layer(diff_id).join("layer.json");
        let bytes = fs::read(&path).context(|| format!("reading {}", path.display()))?;
        let file: LayerFile = serde_json::from_slice(&bytes)
            .map_err(|e| ImageError::Corrupt(format!("{} is damaged: {e}", path.display())))?;
        Ok(file.size_bytes)
    }

    pub(super) fn pin(&self, layers: &[Digest]) -> Result<Pin, ImageError> {
        let _shared = self.lock_shared()?;
        let path = self.layout.pins().join(uuid::Uuid::new_v4().to_string());
        let lock = FileLock::try_acquire(&path, FlockOperation::NonBlockingLockExclusive)?
            .ok_or_else(|| ImageError::InUse(format!("{} is locked", path.display())))?;
        let lines: Vec<_> = layers.iter().map(Digest::as_str).collect();
        let written = lock.file().write_all(lines.join("\n").as_bytes());
        let pin = Pin(Some(lock));
        written.context(|| format!("writing {}", path.display()))?;
        Ok(pin)
    }

    /// Makes an image visible. Its layers must exist and be pinned.
    pub(super) fn commit(&self, new: NewImage) -> Result<Image, ImageError> {
        let Configuration { id, config, platform, created, diff_ids } = new.configuration;
        let size_bytes = diff_ids.iter().map(|diff| self.layer_size(diff)).sum::<Result<_, _>>()?;
        let lock = self.lock_exclusive()?;
        write_atomically(&self.layout.blob(&id), &new.config_bytes)?;
        let manifest = match new.manifest {
            Some((digest, bytes)) => {
                write_atomically(&self.layout.blob(&digest), &bytes)?;
                Some(digest)
            }
            None => None,
        };
        let mut records = self.index.snapshot()?.records.clone();
        for record in &mut records {
            record.names.retain(|name| !new.names.contains(name));
        }
        let mut record = match records.iter().position(|record| record.id == id) {
            Some(i) => {
                let mut record = records.remove(i);
                record.open_to(new.readers);
                record
            }
            None => Record {
                id,
                names: Vec::new(),
                digests: Vec::new(),
                manifest: None,
                layers: diff_ids,
                config,
                platform,
                size_bytes,
                created,
                readers: new.readers,
            },
        };
        for name in new.names {
            if !record.names.contains(&name) {
                record.names.push(name);
            }
        }
        record.manifest = manifest.or(record.manifest);
        if let Some(digest) = new.digest
            && !record.digests.contains(&digest)
        {
            record.digests.push(digest);
        }
        let image = record.to_image(&self.layout);
        records.push(record);
        self.index.write(&lock, records)?;
        Ok(image)
    }

    /// Takes a name away, and the image with its last name.
    pub(super) fn remove(&self, query: &Query) -> Result<Removed, ImageError> {
        let (Query::Id(asked) | Query::Tag(asked) | Query::Manifest(asked)) = query;
        let missing = || ImageError::NotFound(format!("no image {asked} in the store"));
        let lock = self.lock_exclusive()?;
        let mut records = self.index.snapshot()?.records.clone();
        let id = self.index.snapshot()?.find(query).map(|r| r.id.clone()).ok_or_else(missing)?;
        let at = records.iter().position(|r| r.id == id).ok_or_else(missing)?;
        let record = &mut records[at];
        let untagged: Vec<String> = match query {
            Query::Tag(name) => record.names.extract_if(.., |n| n == name).collect(),
            Query::Id(_) | Query::Manifest(_) => std::mem::take(&mut record.names),
        };
        let mut removed = Removed { untagged, ..Removed::default() };
        if !record.names.is_empty() {
            self.index.write(&lock, records)?;
            return Ok(removed);
        }
        let owners: Vec<_> =
            self.leases()?.into_iter().filter(|l| l.image_id == id.as_str()).map(|l| l.owner).collect();
        if let Some(owner) = owners.first() {
            return Err(ImageError::InUse(format!(
                "image {asked} is used by {} sandbox(es), such as {owner}",
                owners.len()
            )));
        }
        records.remove(at);
        removed.deleted = Some(id.to_string());
        removed.freed.images = 1;
        self.index.write(&lock, records)?;
        self.sweep(&mut removed.freed)?;
        drop(lock);
        empty_discarded(&self.layout);
        Ok(removed)
    }

    pub(super) fn lease(&self, image_id: &str, owner: &str) -> Result<Lease, ImageError> {
        let path = self.layout.leases().join(checked_owner(owner)?);
        let missing = || ImageError::NotFound(format!("no image {image_id} in the store"));
        let id = Digest::parse(image_id).ok_or_else(missing)?;
        // Collections hold the lock exclusively: between this look and the write none can run.
        let _shared = self.lock_shared()?;
        self.index.snapshot()?.find(&Query::Id(image_id.to_owned())).ok_or_else(missing)?;
        // One that is held already is not put at risk by writing it again where there may be no room for it.
        if !fs::read(&path).is_ok_and(|held| held == id.as_str().as_bytes()) {
            let written = fs::write(&path, id.as_str()).inspect_err(|_| drop(fs::remove_file(&path)));
            written.context(|| format!("writing {}", path.display()))?;
        }
        Ok(Lease { owner: owner.to_owned(), image_id: image_id.to_owned() })
    }

    pub(super) fn release(&self, owner: &str) -> Result<(), ImageError> {
        let path = self.layout.leases().join(checked_owner(owner)?);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                Err(ImageError::io(format!("removing {}", path.display()), e))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn leases(&self) -> Result<Vec<Lease>, ImageError> {
        let mut leases = Vec::new();
        for owner in names(&self.layout.leases())? {
            // One may be released meanwhile; an empty one was never granted.
            let Ok(text) = fs::read_to_string(self.layout.leases().join(&owner)) else { continue };
            if let Some(id) = Digest::parse(&text) {
                leases.push(Lease { owner, image_id: id.to_string() });
            }
        }
        Ok(leases)
    }

    /// Removes images without a name and without a lease, and whatever no image needs.
    pub(super) fn gc(&self) -> Result<Freed, ImageError> {
        let mut freed = Freed::default();
        let lock = self.lock_exclusive()?;
        let leased: HashSet<String> = self.leases()?.into_iter().map(|lease| lease.image_id).collect();
        let records = &self.index.snapshot()?.records;
        let kept: Vec<_> = records
            .iter()
            .filter(|r| !r.names.is_empty() || leased.contains(r.id.as_str()))
            .cloned()
            .collect();
        freed.images = records.len() - kept.len();
        if freed.images > 0 {
            self.index.write(&lock, kept)?;
        }
        self.clean_leftovers(&mut freed)?;
        self.sweep(&mut freed)?;
        drop(lock);
        empty_discarded(&self.layout);
        Ok(freed)
    }

    /// Removes layers and documents no image refers to. The store's lock is held.
    fn sweep(&self, freed: &mut Freed) -> Result<(), ImageError> {
        let mut layers = self.pinned()?;
        let mut blobs = HashSet::new();
        for record in &self.index.snapshot()?.records {
            layers.extend(record.layers.iter().map(|layer| layer.hex().to_owned()));
            blobs.insert(record.id.hex().to_owned());
            blobs.extend(record.manifest.iter().map(|manifest| manifest.hex().to_owned()));
        }
        for name in names(&self.layout.layers())? {
            if layers.contains(&name) {
                continue;
            }
            if let Some(digest) = Digest::parse(&format!("sha256:{name}")) {
                freed.bytes += self.layer_size(&digest).unwrap_or(0);
            }
            freed.layers += 1;
            self.discard(&self.layout.layers().join(name))?;
        }
        for name in names(&self.layout.blobs())? {
            if !blobs.contains(&name) {
                remove_counted(&self.layout.blobs().join(name), freed);
            }
        }
        Ok(())
    }

    /// Layers of running pulls and imports; what dead ones left is removed.
    fn pinned(&self) -> Result<HashSet<String>, ImageError> {
        let mut pinned = HashSet::new();
        for name in names(&self.layout.pins())? {
            let path = self.layout.pins().join(name);
            match FileLock::try_acquire(&path, FlockOperation::NonBlockingLockExclusive)? {
                Some(dead) => dead.remove(),
                None => {
                    let text = fs::read_to_string(&path).unwrap_or_default();
                    pinned
                        .extend(text.lines().filter_map(Digest::parse).map(|digest| digest.hex().to_owned()));
                }
            }
        }
        Ok(pinned)
    }

    /// Removes what killed processes left half done, and downloads nobody continued.
    fn clean_leftovers(&self, freed: &mut Freed) -> Result<(), ImageError> {
        for name in names(&self.layout.work())? {
            let path = self.layout.work().join(&name);
            let owner = match Digest::parse(&format!("sha256:{name}")) {
                Some(diff_id) => self.layout.layer_lock(&diff_id),
                // A lock, or a spooled archive, which is its own lock.
                None => path.clone(),
            };
            if let Some(dead) = FileLock::try_acquire(&owner, FlockOperation::NonBlockingLockExclusive)? {
                if path.is_dir() {
                    self.discard(&path)?;
                } else if path != owner {
                    remove_counted(&path, freed);
                }
                dead.remove();
            }
        }
        for name in names(&self.layout.partials())? {
            let path = self.layout.partials().join(name);
            let age =
                fs::metadata(&path).and_then(|m| m.modified()).map(|t| SystemTime::now().duration_since(t));
            if matches!(age, Ok(Ok(age)) if age > PARTIAL_LIFETIME) {
                remove_counted(&path, freed);
            }
        }
        Ok(())
    }

    /// Takes a directory out of the store at once; its content goes later.
    fn discard(&self, path: &Path) -> Result<(), ImageError> {
        let target = self.layout.discarded().join(uuid::Uuid::new_v4().to_string());
        fs::rename(path, target).context(|| format!("discarding {}", path.display()))
    }
}

/// Deletes what was taken out of the store.
fn empty_discarded(layout: &Layout) {
    for name in names(&layout.discarded()).unwrap_or_default() {
        // Another process may be at it too; what stays is taken at the next start.
        let _ = fs::remove_dir_all(layout.discarded().join(name));
    }
}

fn checked_owner(owner: &str) -> Result<&str, ImageError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    match !owner.is_empty() && owner.len() <= MAX_OWNER && !owner.starts_with('.') && owner.bytes().all(plain)
    {
        true => Ok(owner),
        false => Err(ImageError::reference(owner, "not a usable name of a lease's owner")),
    }
}

fn remove_counted(path: &Path, freed: &mut Freed) {
    let size = fs::metadata(path).map_or(0, |m| m.len());
    if fs::remove_file(path).is_ok() {
        freed.bytes += size;
    }
}
