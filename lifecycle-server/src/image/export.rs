//! An image as an archive: an OCI layout that is a docker archive as well.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    capture::config_of,
    digest::Digest,
    error::{Context, ImageError},
    pack::{Entry, TarWriter},
    pull::blocking,
    reference::Query,
    repack::{MANIFEST_TYPE, Outgoing, documents, render, repack},
    state::State,
};

/// A reader that takes nothing for so long is given up.
const READER_PATIENCE: Duration = Duration::from_secs(60);
/// Pieces on their way to a reader.
const PIECES: usize = 16;
const PIECE: usize = 64 << 10;

/// Writes an image's archive to a file, which appears when it is whole.
pub(super) async fn to_file(state: &Arc<State>, query: Query, path: PathBuf) -> Result<(), ImageError> {
    blocking(state, move |state| {
        let partial = beside(&path);
        let context = || format!("writing {}", path.display());
        let write = || {
            let file = std::fs::File::create(&partial).context(context)?;
            let mut out = io::BufWriter::new(file);
            write(state, &query, &mut out, &AtomicBool::new(false))?;
            out.into_inner()
                .map_err(io::IntoInnerError::into_error)
                .and_then(|file| file.sync_all())
                .context(context)?;
            std::fs::rename(&partial, &path).context(context)
        };
        write().inspect_err(|_| drop(std::fs::remove_file(&partial)))
    })
    .await
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

/// The same as a stream that is made while it is read. Fails at once if there is no such image.
pub(super) async fn stream(
    state: &Arc<State>,
    query: Query,
) -> Result<mpsc::Receiver<io::Result<Bytes>>, ImageError> {
    let asked = query.clone();
    blocking(state, move |state| state.record(&asked)).await?;
    let (pieces, reader) = mpsc::channel(PIECES);
    let (state, handle) = (Arc::clone(state), tokio::runtime::Handle::current());
    tokio::task::spawn_blocking(move || {
        let mut out = Pieces { pieces: pieces.clone(), handle: handle.clone() };
        let mut buffered = io::BufWriter::with_capacity(PIECE, &mut out);
        let written = write(&state, &query, &mut buffered, &AtomicBool::new(false))
            .and_then(|()| buffered.flush().context(|| "sending an archive".into()));
        // What a reader that went away leaves in the buffer has nowhere to go.
        drop(buffered.into_parts());
        if let Err(error) = written {
            tracing::warn!(%error, "an export was cut short");
            let _ = pieces.try_send(Err(io::Error::other(error)));
        }
    });
    Ok(reader)
}

struct Pieces {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    handle: tokio::runtime::Handle,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = self.pieces.send_timeout(Ok(Bytes::copy_from_slice(bytes)), READER_PATIENCE);
        match self.handle.block_on(piece) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads the archive")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One layer at a time is packed beside the store, since an archive says a file's size before its content.
fn write(state: &State, query: &Query, out: impl Write, cancel: &AtomicBool) -> Result<(), ImageError> {
    let record = state.record(query)?;
    let _pin = state.pin(&record.layers)?;
    let sending = || "writing an archive".to_owned();
    let mut tar = TarWriter::new(out);
    let mut layers: Vec<Outgoing> = Vec::with_capacity(record.layers.len());
    let mut written = Vec::new();
    for layer in &record.layers {
        let (packed, spool) = repack(state, layer, cancel)?;
        if !written.contains(&packed.digest) {
            tar.entry(&Entry::file(&blob(&packed.digest), packed.size)).context(sending)?;
            io::copy(&mut spool.file(), &mut tar).context(sending)?;
            written.push(packed.digest.clone());
        }
        layers.push(packed);
    }
    let made = documents(&config_of(state, record.id.as_str())?, &layers)?;
    let names = match query {
        Query::Tag(name) => vec![name.clone()],
        Query::Id(_) | Query::Manifest(_) => record.names.clone(),
    };
    let descriptor = |name: Option<&String>| {
        let mut descriptor = json!({ "mediaType": MANIFEST_TYPE, "digest": made.manifest_digest.as_str(), "size": made.manifest.len() });
        if let Some(name) = name {
            let tag = name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
            descriptor["annotations"] =
                json!({ "io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag });
        }
        descriptor
    };
    let manifests: Vec<_> = match names.is_empty() {
        true => vec![descriptor(None)],
        false => names.iter().map(|name| descriptor(Some(name))).collect(),
    };
    let of_docker = json!([{
        "Config": blob(&made.config_digest),
        "RepoTags": names,
        "Layers": layers.iter().map(|layer| blob(&layer.digest)).collect::<Vec<_>>(),
    }]);
    for (path, bytes) in [
        (blob(&made.config_digest), made.config.clone()),
        (blob(&made.manifest_digest), made.manifest.clone()),
        ("index.json".to_owned(), render(&json!({ "schemaVersion": 2, "manifests": manifests }))?),
        ("manifest.json".to_owned(), render(&of_docker)?),
        ("oci-layout".to_owned(), render(&json!({ "imageLayoutVersion": "1.0.0" }))?),
    ] {
        tar.entry(&Entry::file(&path, bytes.len() as u64)).context(sending)?;
        tar.write_all(&bytes).context(sending)?;
    }
    tar.finish().map(drop).context(sending)
}

fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
