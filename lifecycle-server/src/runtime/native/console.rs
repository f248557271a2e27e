//! Standard output and error of a sandbox's first process.
//!
//! A named pipe in the state directory: the sandbox holds it open for reading too, so it never breaks, whatever
//! happens to the server; and a server that comes back opens it again and goes on draining.

use std::{
    collections::VecDeque,
    ffi::CString,
    fs::{File, OpenOptions},
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{net::unix::pipe, task::JoinHandle};

const NAME: &str = "console";
/// Output kept, counted from its end.
const KEPT: usize = 64 * 1024;
/// Bytes taken from the pipe at once.
const CHUNK: usize = 8 * 1024;

/// The last output of one sandbox.
#[derive(Debug, Default)]
pub(crate) struct Tail(Mutex<VecDeque<u8>>);

impl Tail {
    fn push(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(bytes);
        let excess = kept.len().saturating_sub(KEPT);
        kept.drain(..excess);
    }

    /// At most `limit` bytes from the end, as text.
    pub(crate) fn text(&self, limit: usize) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = kept.iter().skip(kept.len().saturating_sub(limit)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Makes the pipe of a sandbox that had one before.
pub(crate) fn renew(directory: &Path, uid_base: u32) -> io::Result<OwnedFd> {
    match std::fs::remove_file(directory.join(NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    create(directory, uid_base)
}

/// Makes the pipe and returns the sandbox's end of it. Its owner is the sandbox's root, so that programs may open
/// `/dev/stdout` again.
pub(crate) fn create(directory: &Path, uid_base: u32) -> io::Result<OwnedFd> {
    let path = directory.join(NAME);
    let name = CString::new(path.as_os_str().as_bytes())?;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &name,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o666),
        0,
    )?;
    let pipe: File = OpenOptions::new().read(true).write(true).open(&path)?;
    let (uid, gid) = (rustix::fs::Uid::from_raw(uid_base), rustix::fs::Gid::from_raw(uid_base));
    rustix::fs::fchown(&pipe, Some(uid), Some(gid))?;
    rustix::fs::fchmod(&pipe, rustix::fs::Mode::from_raw_mode(0o666))?;
    Ok(pipe.into())
}

/// Starts draining the pipe of a sandbox that exists; ends by itself with the sandbox.
pub(crate) fn drain(directory: &Path) -> io::Result<(Arc<Tail>, JoinHandle<()>)> {
    let pipe = pipe::OpenOptions::new().open_receiver(directory.join(NAME))?;
    let tail = Arc::new(Tail::default());
    let kept = tail.clone();
    let task = tokio::spawn(async move {
        while pipe.readable().await.is_ok() {
            // On the stack and not across a wait: a thousand silent sandboxes hold no buffers.
            let mut chunk = [0; CHUNK];
            match pipe.try_read(&mut chunk) {
                Ok(0) => return,
                Ok(length) => kept.push(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    });
    Ok((tail, task))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept() {
        let tail = Tail::default();
        tail.push(&vec![b'a'; KEPT]);
        tail.push(b"end");
        assert_eq!(tail.text(4), "aend");
        assert_eq!(tail.text(usize::MAX).len(), KEPT);
    }

    #[tokio::test]
    async fn writers_outlive_the_reader() {
        use std::io::Write;
        let dir = tempfile::tempdir().unwrap();
        let mut inside = File::from(create(dir.path(), 0).unwrap());
        let (_, task) = drain(dir.path()).unwrap();
        task.abort();
        let _ = task.await;
        inside.write_all(b"still works").unwrap();
        let (tail, task) = drain(dir.path()).unwrap();
        drop(inside);
        task.await.unwrap();
        assert_eq!(tail.text(100), "still works");
    }
}
