//! One of several servers on a database: known by an identity of its own, and heard of again and again.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path, time::Duration};

use anyhow::{Context as _, Result, bail};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::store::{Announcement, SILENCE, Store};

/// File of the identity under the state directory: it belongs to what lies there.
const IDENTITY: &str = "server-id";
/// Others take a server for gone after a few of these.
const INTERVAL: Duration = Duration::from_secs(4);
/// How long a server waits for what may be its own former life on another host: until nobody can be taken for it.
const FORMER_LIFE: Duration = SILENCE.saturating_add(INTERVAL);
/// Time between two looks in that time.
const LOOK: Duration = Duration::from_secs(1);
/// Differs from host to host, and from one start of a host to the next.
const HOST: &str = "/proc/sys/kernel/random/boot_id";

/// Tells the others that this server is there, until it is left.
pub(super) struct Membership {
    store: Store,
    /// Of this life of the server.
    boot: String,
    stopping: CancellationToken,
    /// Another server has this one's identity.
    lost: CancellationToken,
    tasks: TaskTracker,
}

/// The identity that belongs to the state directory, made at first.
pub(super) fn identity(state_dir: &Path) -> Result<String> {
    let path = state_dir.join(IDENTITY);
    let known = match fs::read_to_string(&path) {
        Ok(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    if let Some(known) = known {
        return Ok(known);
    }
    let made = Uuid::new_v4().hyphenated().to_string();
    let new = path.with_extension("new");
    fs::write(&new, &made)
        .and_then(|()| fs::rename(&new, &path))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(made)
}

/// The directory, told from its copies on this host and elsewhere.
fn place(state_dir: &Path) -> Result<String> {
    let host = fs::read_to_string(HOST).with_context(|| format!("cannot read {HOST}"))?;
    let directory =
        fs::metadata(state_dir).with_context(|| format!("cannot look at {}", state_dir.display()))?;
    Ok(format!("{}/{}/{}", host.trim(), directory.dev(), directory.ino()))
}

impl Membership {
    /// Joins the servers on the database. A state directory's lock is held by the caller: what else has announced itself
    /// from there is this server's former life.
    ///
    /// # Errors
    /// When a server with the same identity is there, and stays.
    pub(super) async fn join(store: Store, address: String, state_dir: &Path) -> Result<Self> {
        let boot = Uuid::new_v4().hyphenated().to_string();
        let own = Announcement { address, place: place(state_dir)?, boot };
        let deadline = Instant::now() + FORMER_LIFE;
        let mut first_heard = None;
        while let Some(heard) = store.announce(&own).await.context("cannot tell other servers of this one")? {
            if first_heard.is_none() {
                tracing::warn!(
                    "a server elsewhere has this one's identity; waiting whether it is still there"
                );
            }
            if heard > *first_heard.get_or_insert(heard) || Instant::now() > deadline {
                bail!(
                    "another server on this database has this one's identity, perhaps from a copy of its state directory. \
                     Sandboxes belong to the host they run on: remove {} from the copy",
                    state_dir.join(IDENTITY).display()
                );
            }
            tokio::time::sleep(LOOK).await;
        }
        let membership = Self {
            store,
            boot: own.boot,
            stopping: CancellationToken::new(),
            lost: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        membership.keep_up();
        Ok(membership)
    }

    fn keep_up(&self) {
        let (store, boot, lost) = (self.store.clone(), self.boot.clone(), self.lost.clone());
        let beats = async move {
            loop {
                tokio::time::sleep(INTERVAL).await;
                match store.beat(&boot).await {
                    Ok(true) => {}
                    Ok(false) => {
                        tracing::error!(
                            "another server has this one's identity, perhaps with a copy of its state directory; stopping"
                        );
                        lost.cancel();
                        return;
                    }
                    Err(error) => tracing::warn!(%error, "other servers do not hear of this one"),
                }
            }
        };
        let stopping = self.stopping.clone();
        self.tasks.spawn(async move { stopping.run_until_cancelled(beats).await });
    }

    /// Ends when this server must not go on.
    pub(super) fn lost(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.lost.clone().cancelled_owned()
    }

    pub(super) async fn leave(self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        if let Err(error) = self.store.leave(&self.boot).await {
            tracing::warn!(%error, "other servers learn late that this one has gone");
        }
    }
}
