use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::{
    digest::Digest,
    error::{Context, ImageError},
};

/// Where things are in a store's directory.
///
/// ```text
/// lock                    guards the index; held for moments only
/// index.json              which images exist; replaced as a whole
/// blobs/HEX               configurations and manifests, byte for byte
/// layers/HEX/files        an unpacked layer, by the digest of its plain archive
/// layers/HEX/layer.json   its size
/// work/HEX, HEX.lock      a layer being unpacked, and who does it
/// work/spool-…            an archive being imported
/// partial/BLOB-LAYER      a compressed layer being downloaded; a later pull continues it
/// pins/…                  layers that a running pull or import is about to use
/// leases/OWNER            the image a sandbox uses
/// discarded/…             being deleted
/// ```
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Makes the directories. The store is closed to other users of the host: its layers hold set-id programs.
    pub(super) fn create(root: &Path) -> Result<Self, ImageError> {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        let layout = Self { root: root.to_owned() };
        let context = || format!("making the image store {}", root.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root).context(context)?;
        fs::set_permissions(root, fs::Permissions::from_mode(0o700)).context(context)?;
        for dir in [
            layout.blobs(),
            layout.layers(),
            layout.work(),
            layout.partials(),
            layout.pins(),
            layout.leases(),
            layout.discarded(),
        ] {
            fs::create_dir_all(&dir).context(context)?;
        }
        Ok(layout)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(super) fn index(&self) -> PathBuf {
        self.root.join("index.json")
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    pub(super) fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    pub(super) fn layer(&self, diff_id: &Digest) -> PathBuf {
        self.layers().join(diff_id.hex())
    }

    pub(super) fn layer_files(&self, diff_id: &Digest) -> PathBuf {
        self.layer(diff_id).join("files")
    }

    pub(super) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    pub(super) fn layer_work(&self, diff_id: &Digest) -> PathBuf {
        self.work().join(diff_id.hex())
    }

    pub(super) fn layer_lock(&self, diff_id: &Digest) -> PathBuf {
        self.work().join(format!("{}.lock", diff_id.hex()))
    }

    pub(super) fn partials(&self) -> PathBuf {
        self.root.join("partial")
    }

    pub(super) fn partial(&self, blob: &Digest, diff_id: &Digest) -> PathBuf {
        self.partials().join(format!("{}-{}", blob.hex(), diff_id.hex()))
    }

    pub(super) fn pins(&self) -> PathBuf {
        self.root.join("pins")
    }

    pub(super) fn leases(&self) -> PathBuf {
        self.root.join("leases")
    }

    pub(super) fn discarded(&self) -> PathBuf {
        self.root.join("discarded")
    }
}

/// Writes a whole file so that after a crash it is either the old or the new one.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    use std::io::Write;
    let new = path.with_extension("new");
    let context = || format!("writing {}", path.display());
    let write = || {
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    };
    write().inspect_err(|_| drop(fs::remove_file(&new))).context(context)
}

/// Names in a directory of the store.
pub(super) fn names(dir: &Path) -> Result<Vec<String>, ImageError> {
    let context = || format!("listing {}", dir.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).context(context)? {
        // Everything the store makes has a plain name.
        if let Ok(name) = entry.context(context)?.file_name().into_string() {
            found.push(name);
        }
    }
    Ok(found)
}
