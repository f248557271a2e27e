//! How long anything may take.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};

use crate::{Error, Result};

/// The limit of every wait a client makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until an ordinary request is answered in full.
    pub request: Duration,
    /// Until a sandbox is created; a first use of an image includes pulling it.
    pub create: Duration,
    /// Until a fresh sandbox answers.
    pub ready: Duration,
    /// Longest silence within a stream or transfer. Event streams carry a sign of life every 3 s.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            request: Duration::from_secs(30),
            create: Duration::from_secs(600),
            ready: Duration::from_secs(30),
            idle: Duration::from_secs(30),
        }
    }
}

/// Waits for `work`, but not longer than `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    what: &'static str,
    work: impl Future<Output = T>,
) -> Result<T> {
    tokio::time::timeout(limit, work).await.map_err(|_| Error::Timeout { what, limit })
}

/// Notices when a transfer stands still, however long it takes as a whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stalled {
    moved: Arc<AtomicU64>,
}

impl Stalled {
    /// The same stream, watched.
    pub(crate) fn watch<S>(&self, stream: S) -> impl Stream<Item = std::io::Result<Bytes>> + use<S>
    where
        S: Stream<Item = std::io::Result<Bytes>>,
    {
        let moved = Arc::clone(&self.moved);
        stream.inspect_ok(move |_| {
            moved.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// Waits for `work` until nothing has moved for `idle`.
    pub(crate) async fn guard<T>(
        &self,
        idle: Duration,
        what: &'static str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let watchdog = async {
            loop {
                let before = self.moved.load(Ordering::Relaxed);
                tokio::time::sleep(idle).await;
                if self.moved.load(Ordering::Relaxed) == before {
                    return;
                }
            }
        };
        tokio::select! {
            result = work => result,
            () = watchdog => Err(Error::Timeout { what, limit: idle }),
        }
    }
}
