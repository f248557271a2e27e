//! Brings one compressed layer into the store, continuing where an earlier attempt was cut.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt;

use super::{
    config::Descriptor,
    digest::Digest,
    error::{Context, ImageError},
    registry::Registry,
    space::Watermark,
};

/// A connection that breaks is made anew this often, a little later each time.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
const BUFFER: usize = 256 << 10;

/// Downloads `blob` to `partial` and verifies it. On a network error the file stays, to be continued; content that
/// is not what its digest says is removed.
pub(super) async fn download(
    registry: &Registry,
    blob: &Descriptor,
    partial: &Path,
    space: &Watermark,
    report: &(dyn Fn(u64) + Sync),
) -> Result<File, ImageError> {
    let mut attempt = 1;
    let mut restarted = false;
    loop {
        let result = attempt_download(registry, blob, partial, space, report).await;
        match result {
            Ok(file) => return Ok(file),
            // What was there before may have been torn by a crash: once more, from the start.
            Err(Failure { error: ImageError::DigestMismatch { .. }, continued: true }) if !restarted => {
                restarted = true;
            }
            Err(Failure { error: ImageError::RegistryUnreachable(_), .. }) if attempt < ATTEMPTS => {
                tokio::time::sleep(PAUSE * 4_u32.pow(attempt - 1)).await;
                attempt += 1;
            }
            Err(Failure { error, .. }) => return Err(error),
        }
    }
}

struct Failure {
    error: ImageError,
    /// Bytes of an earlier attempt were part of it.
    continued: bool,
}

async fn attempt_download(
    registry: &Registry,
    blob: &Descriptor,
    partial: &Path,
    space: &Watermark,
    report: &(dyn Fn(u64) + Sync),
) -> Result<File, Failure> {
    let mut start = 0;
    let result = transfer(registry, blob, partial, space, report, &mut start).await;
    if matches!(result, Err(ImageError::DigestMismatch { .. } | ImageError::DiskFull(_))) {
        // Nothing of it is worth keeping, or there is no room to.
        let _ = std::fs::remove_file(partial);
    }
    result.map_err(|error| Failure { error, continued: start > 0 })
}

async fn transfer(
    registry: &Registry,
    blob: &Descriptor,
    partial: &Path,
    space: &Watermark,
    report: &(dyn Fn(u64) + Sync),
    start: &mut u64,
) -> Result<File, ImageError> {
    let (file, mut have, mut hasher) = open_partial(partial, blob.size).await?;
    *start = have;
    space.check(blob.size - have)?;
    let writing = || format!("writing {}", partial.display());
    let mut file = tokio::fs::File::from_std(file);
    if have < blob.size {
        let mut stream = registry.blob(&blob.digest, have).await?;
        if !stream.resumed {
            file.set_len(0).await.context(writing)?;
            tokio::io::AsyncSeekExt::rewind(&mut file).await.context(writing)?;
            (have, *start, hasher) = (0, 0, Sha256::new());
        }
        let result = loop {
            match registry.piece(&mut stream).await {
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
                Ok(Some(bytes)) => {
                    have += bytes.len() as u64;
                    if have > blob.size {
                        break Ok(());
                    }
                    hasher.update(&bytes);
                    file.write_all(&bytes).await.context(writing)?;
                    report(have);
                }
            }
        };
        file.flush().await.context(writing)?;
        result?;
    }
    if have < blob.size {
        let text = format!("the registry ended after {have} of {} bytes", blob.size);
        return Err(ImageError::RegistryUnreachable(text));
    }
    let actual = Digest::finish(hasher);
    if actual != blob.digest || have > blob.size {
        return Err(ImageError::DigestMismatch {
            what: "compressed content".into(),
            expected: format!("{} of {} bytes", blob.digest, blob.size),
            actual: format!("{actual} of {have} bytes or more"),
        });
    }
    let mut file = file.into_std().await;
    file.rewind().context(|| format!("reading {}", partial.display()))?;
    Ok(file)
}

/// What an earlier attempt left, hashed, and positioned at its end.
async fn open_partial(partial: &Path, size: u64) -> Result<(File, u64, Sha256), ImageError> {
    let path = partial.to_owned();
    let work = move || {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
        if file.metadata()?.len() > size {
            file.set_len(0)?;
        }
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                n => hasher.update(&buffer[..n]),
            }
        }
        let have = file.seek(SeekFrom::End(0))?;
        Ok((file, have, hasher))
    };
    let result: std::io::Result<_> =
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(std::io::Error::other(e)));
    result.context(|| format!("opening {}", partial.display()))
}
