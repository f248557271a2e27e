//! Who works on files: execd itself, or the identity a request asks for.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::credentials::{Assumed, may_assume};
use super::error::FileError;
use crate::reason::reason;
use crate::users::{self, Account};

thread_local! {
    /// Whether this thread has taken on its job's identity: what a job drops may want to act as well.
    static ACTING: Cell<bool> = const { Cell::new(false) };
}

/// Does file work off the event loop, with the rights of whoever it stands for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Actor(Option<Arc<Account>>);

impl Actor {
    /// execd itself.
    pub(crate) fn own() -> Self {
        Self(None)
    }

    /// The user and group of these numbers, with the groups the image's files give the user. May block.
    pub(crate) fn identity(uid: u32, gid: u32) -> Self {
        let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        // Who cannot change its identity can still be asked to be itself.
        if own == (uid, gid) && !may_assume() {
            return Self::own();
        }
        Self(Some(Arc::new(users::account_of(uid, gid))))
    }

    /// Home directory of the identity, where it is not that of execd's environment.
    pub(crate) fn home(&self) -> Option<&Path> {
        self.0.as_ref()?.entry.as_ref().map(|(_, home)| home.as_path())
    }

    /// Runs work on a thread that may block.
    ///
    /// # Errors
    /// Those of the work; when the identity cannot be taken on, or the work panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, FileError> {
        joined(self.spawn(work).await)
    }

    /// Begins work on a thread that may block.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
    ) -> JoinHandle<Result<T, FileError>> {
        let actor = self.clone();
        tokio::task::spawn_blocking(move || actor.act(work)?)
    }

    /// Does work on this very thread.
    ///
    /// # Errors
    /// When the identity cannot be taken on.
    pub(crate) fn act<T>(&self, work: impl FnOnce() -> T) -> Result<T, FileError> {
        let Some(account) = self.0.as_ref().filter(|_| !ACTING.get()) else { return Ok(work()) };
        let identity = &account.identity;
        let assumed = Assumed::new(identity).map_err(|error| {
            let (uid, gid) = (identity.uid, identity.gid);
            FileError::Denied(format!(
                "cannot work on files as user {uid} and group {gid}: {}",
                reason(&error)
            ))
        })?;
        let _acting = Acting::begin();
        let done = work();
        drop(assumed);
        Ok(done)
    }
}

/// What a spawned job came to.
pub(crate) fn joined<T>(done: Result<Result<T, FileError>, tokio::task::JoinError>) -> Result<T, FileError> {
    done.map_err(|error| FileError::Io(format!("file work failed: {error}")))?
}

/// Remembers that the thread acts, also through a panic.
struct Acting;

impl Acting {
    fn begin() -> Self {
        ACTING.set(true);
        Self
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        ACTING.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acting_within_acting_is_one() {
        if !may_assume() {
            return;
        }
        let actor = Actor::identity(4242, 4243);
        let inner = actor.act(|| actor.act(file_user)).unwrap().unwrap();
        assert_eq!(inner, 4242);
        assert_eq!(file_user(), rustix::process::geteuid().as_raw());
    }

    /// The file system user of this thread.
    fn file_user() -> u32 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let uids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
        uids.split_whitespace().nth(3).unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn a_panic_leaves_the_thread_usable() {
        if !may_assume() {
            return;
        }
        let actor = Actor::identity(4242, 4243);
        let failed = actor.run(|| -> Result<(), FileError> { panic!("as planned") }).await;
        assert!(matches!(failed, Err(FileError::Io(_))));
        let user = actor.run(|| Ok(file_user())).await.unwrap();
        assert_eq!(user, 4242);
        let own = Actor::own().run(|| Ok(file_user())).await.unwrap();
        assert_eq!(own, rustix::process::geteuid().as_raw());
    }
}
