use std::{
    collections::{BTreeSet, HashMap},
    fs,
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use serde::{Deserialize, Serialize};

use super::{
    digest::Digest,
    error::{Context, ImageError},
    layout::{Layout, write_atomically},
    lock::FileLock,
    reference::Query,
    types::{Image, ImageConfig, Platform},
};

const VERSION: u32 = 1;

/// One image, as the index keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: Digest,
    /// What it can be asked for by. Without a name an image is only kept while it is leased.
    pub(super) names: Vec<String>,
    /// Where it came from, by manifest digest.
    pub(super) digests: Vec<String>,
    pub(super) manifest: Option<Digest>,
    /// Unpacked layers, lowest first.
    pub(super) layers: Vec<Digest>,
    pub(super) config: ImageConfig,
    pub(super) platform: Platform,
    pub(super) size_bytes: u64,
    pub(super) created: String,
    /// Tenants that may use it; absent, everybody may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) readers: Option<BTreeSet<String>>,
}

#[derive(Serialize, Deserialize)]
struct IndexFile {
    version: u32,
    images: Vec<Record>,
}

/// The images of a store at one moment.
#[derive(Default)]
pub(super) struct Snapshot {
    stamp: Stamp,
    pub(super) records: Vec<Record>,
    by_name: HashMap<String, usize>,
}

/// Tells one version of the index file from another: each is a new file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &std::path::Path) -> Result<Self, ImageError> {
        match fs::metadata(path) {
            Ok(m) => Ok(Self {
                inode: m.ino(),
                size: m.size(),
                modified: (m.mtime(), m.mtime_nsec()),
                changed: (m.ctime(), m.ctime_nsec()),
            }),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(ImageError::io(format!("reading {}", path.display()), e)),
        }
    }
}

impl Snapshot {
    fn new(stamp: Stamp, records: Vec<Record>) -> Self {
        let mut by_name = HashMap::new();
        // Digests first: a name always means what it was last given to.
        for (i, record) in records.iter().enumerate() {
            by_name.insert(record.id.as_str().to_owned(), i);
            by_name.extend(record.digests.iter().map(|digest| (digest.clone(), i)));
        }
        for (i, record) in records.iter().enumerate() {
            by_name.extend(record.names.iter().map(|name| (name.clone(), i)));
        }
        Self { stamp, records, by_name }
    }

    pub(super) fn find(&self, query: &Query) -> Option<&Record> {
        let (Query::Id(name) | Query::Tag(name) | Query::Manifest(name)) = query;
        self.by_name.get(name).map(|&i| &self.records[i])
    }
}

/// The index of a store: on disk for all processes, in memory for speed.
pub(super) struct Index {
    path: PathBuf,
    current: RwLock<Arc<Snapshot>>,
}

impl Index {
    pub(super) fn open(layout: &Layout) -> Result<Self, ImageError> {
        let index = Self { path: layout.index(), current: RwLock::default() };
        index.snapshot()?;
        Ok(index)
    }

    /// The newest state, whoever wrote it. Costs one `stat` when nothing changed.
    pub(super) fn snapshot(&self) -> Result<Arc<Snapshot>, ImageError> {
        let stamp = Stamp::of(&self.path)?;
        let current = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        if current.stamp == stamp {
            return Ok(current);
        }
        let fresh = Arc::new(self.load()?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&fresh);
        Ok(fresh)
    }

    fn load(&self) -> Result<Snapshot, ImageError> {
        // Stamped before it is read: a write in between makes the next look reload, never miss it.
        let stamp = Stamp::of(&self.path)?;
        if stamp == Stamp::default() {
            return Ok(Snapshot::default());
        }
        let bytes = fs::read(&self.path).context(|| format!("reading {}", self.path.display()))?;
        let file: IndexFile = serde_json::from_slice(&bytes)
            .map_err(|e| ImageError::Corrupt(format!("{} is damaged: {e}", self.path.display())))?;
        if file.version != VERSION {
            return Err(ImageError::Unsupported(format!(
                "{} has version {}, this program knows {VERSION}",
                self.path.display(),
                file.version
            )));
        }
        Ok(Snapshot::new(stamp, file.images))
    }

    /// Changes the index; `_lock` is the store's lock, held exclusively.
    pub(super) fn write(&self, _lock: &FileLock, images: Vec<Record>) -> Result<(), ImageError> {
        let bytes = serde_json::to_vec(&IndexFile { version: VERSION, images })
            .map_err(|e| ImageError::io("writing the index", std::io::Error::from(e)))?;
        write_atomically(&self.path, &bytes)
    }
}

impl Record {
    /// What came without credentials is everybody's, and stays so.
    pub(super) fn open_to(&mut self, readers: Option<BTreeSet<String>>) {
        self.readers = match (self.readers.take(), readers) {
            (Some(mut known), Some(more)) => {
                known.extend(more);
                Some(known)
            }
            _ => None,
        };
    }

    pub(super) fn to_image(&self, layout: &Layout) -> Image {
        Image {
            id: self.id.to_string(),
            names: self.names.clone(),
            digests: self.digests.clone(),
            layers: self.layers.iter().rev().map(|layer| layout.layer_files(layer)).collect(),
            config: self.config.clone(),
            platform: self.platform.clone(),
            size_bytes: self.size_bytes,
            created: self.created.clone(),
            readers: self.readers.clone(),
        }
    }
}
