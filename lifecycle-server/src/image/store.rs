use std::{io, os::fd::OwnedFd, path::PathBuf, sync::Arc};

use bytes::Bytes;
use tokio::{io::AsyncRead, sync::mpsc};

use super::{
    capture::{self, Base, Captured},
    error::ImageError,
    export, import, pull, push,
    reference::Query,
    state::State,
    types::{Credentials, Freed, Image, Lease, Platform, ProgressSink, Removed, StoreOptions},
};

/// A directory of images, shared by all processes that open it. Cheap to clone.
#[derive(Clone)]
pub struct ImageStore(Arc<State>);

impl ImageStore {
    /// Opens the store in `dir`, making it where there is none, and removes what killed processes left half done.
    pub async fn open(dir: PathBuf, options: StoreOptions) -> Result<Self, ImageError> {
        let task = tokio::task::spawn_blocking(move || State::open(&dir, options));
        let opened =
            task.await.map_err(|e| ImageError::io("opening the image store", io::Error::other(e)))?;
        opened.map(|state| Self(Arc::new(state)))
    }

    /// Looks an image up in the store: by name (`python:3.12`), manifest digest (`python@sha256:…`) or id.
    pub async fn find(&self, reference: &str) -> Result<Option<Image>, ImageError> {
        // One `stat` when nothing changed: cheaper than handing it to another thread.
        self.0.find(&Query::parse(reference)?)
    }

    /// Brings an image from its registry, whether or not the store has one of that name. Layers that are in the
    /// store, or on their way into it, are not fetched again; a download that was cut is continued. What takes
    /// credentials is open to `tenant` alone, if one is given, until others show theirs or it comes without.
    pub async fn pull(
        &self,
        reference: &str,
        credentials: Option<Credentials>,
        platform: Option<Platform>,
        tenant: Option<&str>,
        progress: ProgressSink,
    ) -> Result<Image, ImageError> {
        pull::pull(&self.0, reference, credentials.as_ref(), platform.as_ref(), tenant, &progress).await
    }

    /// Enters the images of a docker archive or OCI layout (a tar, plain or compressed with gzip or zstd). `names`
    /// replace those the archive gives; they need an archive with a single image.
    pub async fn import(&self, archive: PathBuf, names: &[String]) -> Result<Vec<Image>, ImageError> {
        import::import_file(&self.0, archive, names).await
    }

    /// [`Self::import`] for an archive that is not a file.
    pub async fn import_stream(
        &self,
        archive: impl AsyncRead + Unpin + Send,
        names: &[String],
    ) -> Result<Vec<Image>, ImageError> {
        import::import_stream(&self.0, archive, names).await
    }

    /// Copies the upper directory of an overlay, without the paths in `skip`: the first step of a new image. Whoever
    /// changes the directory must stand still meanwhile. Stops when the returned future is dropped.
    pub async fn capture(
        &self,
        upper: OwnedFd,
        skip: &'static [&'static str],
    ) -> Result<Captured, ImageError> {
        capture::capture(&self.0, upper, skip).await
    }

    /// Makes what was captured the topmost layer of a new image: the second step.
    pub async fn append(&self, base: Base<'_>, captured: Captured) -> Result<Image, ImageError> {
        capture::append(&self.0, base, captured).await
    }

    /// Writes an image's archive, an OCI layout that is a docker archive as well, to the file `path`.
    pub async fn export(&self, reference: &str, path: PathBuf) -> Result<(), ImageError> {
        export::to_file(&self.0, Query::parse(reference)?, path).await
    }

    /// The same as pieces that are made while they are read.
    pub async fn export_stream(
        &self,
        reference: &str,
    ) -> Result<mpsc::Receiver<io::Result<Bytes>>, ImageError> {
        export::stream(&self.0, Query::parse(reference)?).await
    }

    /// Sends an image to the registry that `target` names (its own name without one), and answers where it is by
    /// digest. The pushed image has the same content, but not always the same id: see the module `repack`.
    pub async fn push(
        &self,
        reference: &str,
        target: Option<&str>,
        credentials: Option<Credentials>,
        progress: ProgressSink,
    ) -> Result<String, ImageError> {
        let target = target.unwrap_or(reference);
        push::push(&self.0, Query::parse(reference)?, target, credentials.as_ref(), &progress).await
    }

    /// All images, unnamed ones that a sandbox still uses included.
    pub async fn list(&self) -> Result<Vec<Image>, ImageError> {
        pull::blocking(&self.0, State::list).await
    }

    /// Takes a name away; the image goes with its last name, or at once when asked for by id or digest. Refused with
    /// [`ImageError::InUse`] when a sandbox uses it.
    pub async fn remove(&self, reference: &str) -> Result<Removed, ImageError> {
        let query = Query::parse(reference)?;
        pull::blocking(&self.0, move |state| state.remove(&query)).await
    }

    /// Keeps an image for `owner` until [`Self::release`], across restarts. One owner holds one image.
    pub async fn lease(&self, image_id: &str, owner: &str) -> Result<Lease, ImageError> {
        let (image_id, owner) = (image_id.to_owned(), owner.to_owned());
        pull::blocking(&self.0, move |state| state.lease(&image_id, &owner)).await
    }

    /// Ends a lease; fine if there is none.
    pub async fn release(&self, owner: &str) -> Result<(), ImageError> {
        let owner = owner.to_owned();
        pull::blocking(&self.0, move |state| state.release(&owner)).await
    }

    pub async fn leases(&self) -> Result<Vec<Lease>, ImageError> {
        pull::blocking(&self.0, State::leases).await
    }

    /// Frees what nothing refers to: images without a name that no sandbox uses, layers without an image, downloads
    /// that nobody continued for a day.
    pub async fn gc(&self) -> Result<Freed, ImageError> {
        pull::blocking(&self.0, State::gc).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Servers run these on whatever thread is free.
    #[test]
    fn operations_may_move_between_threads() {
        fn check<T: Send>(_: impl Fn(ImageStore) -> T) {}
        check(|store| async move { store.pull("x", None, None, None, ProgressSink::none()).await });
        check(|store| async move { store.import(PathBuf::new(), &[]).await });
        check(|store| async move { store.import_stream(tokio::io::empty(), &[]).await });
        check(|store| async move { (store.gc().await, store.find("x").await) });
    }
}
