//! Files and directories, to, from and between sandboxes.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use bytes::{Buf as _, Bytes};
use futures_util::{Stream, StreamExt as _, stream};
use sandkeep::{ByteStream, FileSource, Files, Sandbox, specs::execd::files::FileKind};
use tokio::sync::mpsc;

use super::App;
use crate::{
    args::{Cp, Ls},
    output::{Table, show},
    progress,
};

/// Pieces of an archive between the two who work on it.
const AHEAD: usize = 16;

/// A path, here or in a sandbox.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Here(PathBuf),
    There { sandbox: String, path: String },
}

impl Place {
    /// What has a colon before any slash is in a sandbox.
    fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some((sandbox, path)) if !sandbox.is_empty() && !sandbox.contains('/') => {
                Self::There { sandbox: sandbox.to_owned(), path: path.to_owned() }
            }
            _ => Self::Here(text.into()),
        }
    }
}

pub(crate) async fn copy(app: &App, args: &Cp) -> Result<()> {
    match (Place::parse(&args.from), Place::parse(&args.to)) {
        (Place::Here(from), Place::There { sandbox, path }) => {
            let sandbox = app.connect(&sandbox).await?;
            upload(&sandbox, &from, &path).await
        }
        (Place::There { sandbox, path }, Place::Here(to)) => {
            let sandbox = app.connect(&sandbox).await?;
            download(&sandbox, &path, &to).await
        }
        (Place::There { sandbox: from, path }, Place::There { sandbox: to, path: target }) => {
            let (from, to) = (app.connect(&from).await?, app.connect(&to).await?);
            across(&from, &path, &to, &target).await
        }
        (Place::Here(_), Place::Here(_)) => {
            bail!("neither place is in a sandbox; write SANDBOX:PATH for the one that is")
        }
    }
}

async fn upload(sandbox: &Sandbox, from: &Path, path: &str) -> Result<()> {
    let files = sandbox.files();
    let found = std::fs::metadata(from).with_context(|| format!("cannot read {}", from.display()))?;
    let name = from.file_name().map(|name| name.to_string_lossy().into_owned());
    let target = inside(&files, path, name.as_deref()).await?;
    if found.is_dir() {
        files.upload_directory(&target, pack(from.to_owned())).await?;
        return Ok(());
    }
    let bar = progress::bar("copying", found.len());
    let file =
        tokio::fs::File::open(from).await.with_context(|| format!("cannot read {}", from.display()))?;
    let sent = progress::watched(tokio_util::io::ReaderStream::new(file), bar.clone());
    let done = files.upload([FileSource::stream(target, sent)]).await;
    bar.finish_and_clear();
    Ok(done?)
}

async fn download(sandbox: &Sandbox, path: &str, to: &Path) -> Result<()> {
    let files = sandbox.files();
    let target = match (to.is_dir(), name_of(path)) {
        (true, Some(name)) => to.join(name),
        _ => to.to_owned(),
    };
    if is_directory(&files, path).await? == Some(true) {
        return unpack(files.download_directory(path).await?, target).await;
    }
    let stream = files.download(path).await?;
    let bar = progress::bar("copying", stream.length().unwrap_or_default());
    // Half a file must not stand where a whole one was.
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let what = || format!("cannot write {}", target.display());
    let half = tempfile::NamedTempFile::new_in(parent).with_context(what)?;
    let mut pieces = Box::pin(progress::watched(pieces(stream), bar.clone()));
    while let Some(piece) = pieces.next().await {
        half.as_file().write_all(&piece?).with_context(what)?;
    }
    bar.finish_and_clear();
    half.persist(&target).with_context(what)?;
    Ok(())
}

async fn across(from: &Sandbox, path: &str, to: &Sandbox, target: &str) -> Result<()> {
    let (source, files) = (from.files(), to.files());
    let target = inside(&files, target, name_of(path)).await?;
    if is_directory(&source, path).await? == Some(true) {
        let archive = source.download_directory(path).await?;
        files.upload_directory(&target, pieces(archive)).await?;
        return Ok(());
    }
    let content = source.download(path).await?;
    Ok(files.upload([FileSource::stream(target, pieces(content))]).await?)
}

/// Where something called `name` goes: into a directory, or under the path itself.
async fn inside(files: &Files<'_>, path: &str, name: Option<&str>) -> Result<String> {
    let goes_in = path.is_empty() || path.ends_with('/') || is_directory(files, path).await? == Some(true);
    Ok(match name {
        Some(name) if goes_in => format!("{}/{name}", path.trim_end_matches('/')),
        _ => path.to_owned(),
    })
}

/// `None` if there is nothing.
async fn is_directory(files: &Files<'_>, path: &str) -> Result<Option<bool>> {
    match files.info(&[path]).await {
        Ok(found) => Ok(found.values().next().map(|info| info.kind == Some(FileKind::Directory))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn name_of(path: &str) -> Option<&str> {
    path.trim_end_matches('/').rsplit('/').next().filter(|name| !name.is_empty())
}

pub(crate) async fn list(app: &App, args: &Ls) -> Result<()> {
    let Place::There { sandbox, path } = Place::parse(&args.place) else {
        bail!("{} is not in a sandbox; write SANDBOX:PATH", args.place);
    };
    let sandbox = app.connect(&sandbox).await?;
    let path = if path.is_empty() { "/" } else { &path };
    let found = sandbox.files().list(path, args.depth).await?;
    show(app.format, &found, || {
        let mut table = Table::new(["MODE", "OWNER", "SIZE", "MODIFIED", "PATH"]);
        for entry in &found {
            let slash = if entry.kind == Some(FileKind::Directory) { "/" } else { "" };
            table.row([
                entry.mode.to_string(),
                format!("{}:{}", entry.owner, entry.group),
                entry.size.to_string(),
                entry.modified_at.format("%Y-%m-%d %H:%M").to_string(),
                format!("{}{slash}", entry.path),
            ]);
        }
        table
    })
}

fn pieces(stream: ByteStream) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::unfold(stream, |mut stream| async move {
        match stream.next().await {
            Ok(None) => None,
            Ok(Some(piece)) => Some((Ok(piece), stream)),
            Err(error) => Some((Err(io::Error::other(error.to_string())), stream)),
        }
    })
}

/// A directory's content as an archive, made while it is read.
fn pack(directory: PathBuf) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut archive = tar::Builder::new(Pieces(sender.clone()));
        archive.follow_symlinks(false);
        let done = archive.append_dir_all(".", &directory).and_then(|()| archive.finish());
        if let Err(error) = done {
            // Whoever reads is gone, or learns of it.
            let _ = sender.blocking_send(Err(error));
        }
    });
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

/// Unpacks an archive while it comes; nothing of it lands outside `directory`.
async fn unpack(archive: ByteStream, directory: PathBuf) -> Result<()> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let what = format!("cannot write to {}", directory.display());
    let work = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&directory)?;
        let mut archive = tar::Archive::new(Pending { receiver, piece: Bytes::new() });
        archive.set_preserve_permissions(true);
        archive.unpack(&directory)
    });
    let mut pieces = Box::pin(pieces(archive));
    while let Some(piece) = pieces.next().await {
        if sender.send(piece).await.is_err() {
            break;
        }
    }
    drop(sender);
    work.await?.context(what)
}

/// Passes on what is written.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads what comes.
struct Pending {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Pending {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let count = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_with_a_colon_before_any_slash_are_in_sandboxes() {
        let there = |sandbox: &str, path: &str| Place::There { sandbox: sandbox.into(), path: path.into() };
        assert_eq!(Place::parse("ab12:/etc/hosts"), there("ab12", "/etc/hosts"));
        assert_eq!(Place::parse("ab12:"), there("ab12", ""));
        for here in ["file", "./a:b", "/tmp/a:b", ":x"] {
            assert_eq!(Place::parse(here), Place::Here(here.into()), "{here}");
        }
    }

    #[test]
    fn names_are_last_parts() {
        assert_eq!(name_of("/a/b/"), Some("b"));
        assert_eq!(name_of("b"), Some("b"));
        assert_eq!(name_of("/"), None);
    }
}
