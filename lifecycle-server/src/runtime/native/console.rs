//! Standard output and error of a sandbox's first process.
//!
//! A named pipe in the state directory: the sandbox holds it open for reading too, so it never breaks, whatever
//! happens to the server; and a server that comes back opens it again and goes on draining.

use std::{
    ffi::CString,
    fs::{File, OpenOptions},
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{net::unix::pipe, task::JoinHandle};

use crate::runtime::Log;

const NAME: &str = "console";
/// Bytes taken from the pipe at once.
const CHUNK: usize = 8 * 1024;
/// Bytes a second that a sandbox may print in the long run; with more, its writes wait.
const RATE: f64 = 8.0 * 1024.0 * 1024.0;
/// Bytes it may print at once before that holds.
const BURST: f64 = 1024.0 * 1024.0;

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

/// Starts draining the pipe of a sandbox that exists into its log; ends by itself with the sandbox.
pub(crate) fn drain(directory: &Path, log: Arc<Log>) -> io::Result<JoinHandle<()>> {
    let pipe = pipe::OpenOptions::new().open_receiver(directory.join(NAME))?;
    let over = Over(log);
    Ok(tokio::spawn(async move {
        let mut pace = Pace { left: BURST, at: Instant::now() };
        while pipe.readable().await.is_ok() {
            // On the stack and not across a wait: a thousand silent sandboxes hold no buffers.
            let mut chunk = [0; CHUNK];
            let chunk = match pipe.try_read(&mut chunk) {
                Ok(0) => return,
                Ok(length) => chunk[..length].to_vec(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(_) => return,
            };
            let wait = pace.spend(chunk.len(), Instant::now());
            let log = Arc::clone(&over.0);
            if tokio::task::spawn_blocking(move || log.append(&chunk)).await.is_err() {
                return;
            }
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
        }
    }))
}

/// Says that the log is over, however its writer ends.
struct Over(Arc<Log>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// How much may still be printed at once. A program that floods its output must cost neither a processor nor the disk.
struct Pace {
    left: f64,
    at: Instant,
}

impl Pace {
    /// Takes `bytes`; how long to wait before the next.
    fn spend(&mut self, bytes: usize, now: Instant) -> Duration {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * RATE;
        self.at = now;
        self.left = (self.left + earned).min(BURST) - bytes as f64;
        if self.left >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.left / RATE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Logs;

    #[tokio::test]
    async fn writers_outlive_the_reader() {
        use std::io::Write;
        let dir = tempfile::tempdir().unwrap();
        let logs = Logs::new(dir.path().to_owned(), 1 << 20);
        let mut inside = File::from(create(dir.path(), 0).unwrap());
        let task = drain(dir.path(), logs.open("a")).unwrap();
        task.abort();
        let _ = task.await;
        inside.write_all(b"still works").unwrap();
        let task = drain(dir.path(), logs.open("a")).unwrap();
        drop(inside);
        task.await.unwrap();
        assert_eq!(logs.get("a").tail(100), "still works");
    }

    #[test]
    fn floods_are_slowed_and_ordinary_output_is_not() {
        let begun = Instant::now();
        let mut pace = Pace { left: BURST, at: begun };
        assert!(pace.spend(1024 * 1024, begun).is_zero());
        let wait = pace.spend(CHUNK, begun);
        assert!(wait > Duration::from_micros(900) && wait < Duration::from_millis(1), "{wait:?}");
        assert!(pace.spend(CHUNK, begun + Duration::from_secs(1)).is_zero());
    }
}
