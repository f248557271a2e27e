use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use rustix::fs::FlockOperation;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::{
    archive::{Archive, Contained, Slice},
    digest::Digest,
    error::{Context, ImageError},
    layer::LayerClaim,
    lock::FileLock,
    pull::blocking,
    reference,
    state::{NewImage, State},
    types::{Image, ProgressSink},
    unpack::decompress,
};

/// Free space is looked at whenever this much was spooled.
const SPACE_STEP: u64 = 32 << 20;
const BUFFER: usize = 128 << 10;
/// Enough to tell a plain tar archive (`ustar` stands at 257) from a compressed one.
const MAGIC: usize = 512;

/// Enters the images of an archive on disk into the store.
pub(super) async fn import_file(
    state: &Arc<State>,
    path: PathBuf,
    given: &[String],
) -> Result<Vec<Image>, ImageError> {
    let given = parse_names(given)?;
    let open = move |_: &State| File::open(&path).context(|| format!("opening {}", path.display()));
    let file = blocking(state, open).await?;
    import(state, file, given).await
}

/// The same for an archive that arrives bit by bit.
pub(super) async fn import_stream(
    state: &Arc<State>,
    mut archive: impl AsyncRead + Unpin,
    given: &[String],
) -> Result<Vec<Image>, ImageError> {
    let given = parse_names(given)?;
    let spool = Spool::create(state)?;
    let duplicate = spool.file().try_clone().context(|| "spooling an image archive".into())?;
    let mut file = tokio::fs::File::from_std(duplicate);
    let mut buffer = vec![0; BUFFER];
    let mut unchecked = SPACE_STEP;
    loop {
        if unchecked >= SPACE_STEP {
            state.space.check(SPACE_STEP)?;
            unchecked = 0;
        }
        let limit = state.options.stall_timeout;
        let n = tokio::time::timeout(limit, archive.read(&mut buffer))
            .await
            .map_err(|_| {
                ImageError::Stalled(format!("nothing of the archive came for {:.1} s", limit.as_secs_f64()))
            })?
            .map_err(|e| ImageError::Corrupt(format!("the archive was cut: {e}")))?;
        if n == 0 {
            break;
        }
        unchecked += n as u64;
        file.write_all(&buffer[..n]).await.context(|| "spooling an image archive".into())?;
    }
    file.flush().await.context(|| "spooling an image archive".into())?;
    let file = file.into_std().await;
    let images = import(state, file, given).await;
    drop(spool);
    images
}

async fn import(state: &Arc<State>, file: File, given: Vec<String>) -> Result<Vec<Image>, ImageError> {
    let (archive, spool) = blocking(state, |state| plain(state, file)).await?;
    let mut images = blocking(state, move |state| archive.images(&state.options.platform)).await?;
    if !given.is_empty() {
        if images.len() > 1 {
            let text = "a name was given, but the archive holds several images";
            return Err(ImageError::reference(&given[0], text));
        }
        images[0].names = given;
    }
    let mut imported = Vec::new();
    for contained in images {
        imported.push(import_one(state, contained).await?);
    }
    drop(spool);
    Ok(imported)
}

async fn import_one(state: &Arc<State>, contained: Contained) -> Result<Image, ImageError> {
    let Contained { configuration, config_bytes, manifest, names, layers } = contained;
    if names.is_empty() {
        return Err(ImageError::reference("", "the archive names no image: give a name"));
    }
    let what = format!("image {}", names[0]);
    if !state.options.platform.accepts(&configuration.platform) {
        return Err(
            ImageError::NotFound(format!("no image for platform {}", state.options.platform)).within(&what)
        );
    }
    if layers.len() != configuration.diff_ids.len() {
        let text =
            format!("{} layers, the configuration lists {}", layers.len(), configuration.diff_ids.len());
        return Err(ImageError::Corrupt(text).within(&what));
    }
    let diff_ids = configuration.diff_ids.clone();
    let pin = blocking(state, move |state| state.pin(&diff_ids)).await?;
    let imports: Vec<_> = configuration
        .diff_ids
        .iter()
        .zip(layers)
        .map(|(diff_id, layer)| import_layer(state, diff_id, layer))
        .collect();
    stream::iter(imports)
        .buffer_unordered(state.options.parallel_layers.max(1))
        .try_collect::<()>()
        .await
        .map_err(|e| e.within(&what))?;
    let new = NewImage { configuration, config_bytes, manifest, names, digest: None, readers: None };
    let image = blocking(state, move |state| state.commit(new)).await?;
    drop(pin);
    Ok(image)
}

async fn import_layer(state: &Arc<State>, diff_id: &Digest, layer: Slice) -> Result<(), ImageError> {
    match LayerClaim::acquire(state, diff_id).await? {
        None => Ok(()),
        Some(claim) => {
            let size = layer.size();
            claim.unpack(state, layer, size, &ProgressSink::none()).await
        }
    }
}

/// Opens an archive, decompressing it into the store first where needed: its parts are read by position.
fn plain(state: &State, mut file: File) -> Result<(Archive, Option<Spool>), ImageError> {
    let reading = || "reading an image archive".to_owned();
    let mut magic = Vec::with_capacity(MAGIC);
    let regular = file.metadata().context(reading)?.is_file();
    if regular {
        (&file).take(MAGIC as u64).read_to_end(&mut magic).context(reading)?;
        file.rewind().context(reading)?;
    }
    if magic.get(257..262) == Some(b"ustar") {
        return Ok((Archive::open(file)?, None));
    }
    // Compressed, a pipe, or a tar older than POSIX.
    let spool = Spool::create(state)?;
    let mut source = decompress(file).context(reading)?;
    let mut buffer = vec![0; BUFFER];
    let mut unchecked = SPACE_STEP;
    loop {
        if unchecked >= SPACE_STEP {
            state.space.check(SPACE_STEP)?;
            unchecked = 0;
        }
        let n = source
            .read(&mut buffer)
            .map_err(|e| ImageError::Corrupt(format!("the archive cannot be decompressed: {e}")))?;
        if n == 0 {
            break;
        }
        unchecked += n as u64;
        spool.file().write_all(&buffer[..n]).context(|| "spooling an image archive".into())?;
    }
    let copy = spool.file().try_clone().context(reading)?;
    Ok((Archive::open(copy)?, Some(spool)))
}

fn parse_names(given: &[String]) -> Result<Vec<String>, ImageError> {
    given.iter().map(|name| reference::parse_name(name)).collect()
}

/// A file in the store that goes with its process.
pub(super) struct Spool {
    lock: Option<FileLock>,
    file: File,
}

impl Spool {
    pub(super) fn create(state: &State) -> Result<Self, ImageError> {
        let path = state.layout.work().join(format!("spool-{}", uuid::Uuid::new_v4()));
        let lock = FileLock::try_acquire(&path, FlockOperation::NonBlockingLockExclusive)?;
        let file = Self::open(&path).context(|| format!("opening {}", path.display()))?;
        Ok(Self { lock, file })
    }

    fn open(path: &Path) -> io::Result<File> {
        File::options().read(true).write(true).open(path)
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take() {
            lock.remove();
        }
    }
}
