//! Starts under way, by sandbox: whatever removes a sandbox lets its start come to its end first. A start that is being
//! undone would otherwise take away what somebody else has got in its slot meanwhile.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::runtime::Inner;

/// How long a start that was given up may take to notice, before its processes are killed.
const NOTICE: Duration = Duration::from_secs(2);
/// How long it may take to be over after that.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
pub(crate) struct Starts(Mutex<HashMap<String, Start>>);

#[derive(Clone)]
struct Start {
    given_up: CancellationToken,
    over: CancellationToken,
}

/// A start that goes on as long as this lives.
pub(crate) struct Underway {
    inner: Arc<Inner>,
    id: String,
    over: CancellationToken,
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.inner.starts.all().remove(&self.id);
        self.over.cancel();
    }
}

impl Starts {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Start>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes a start, which is to look at `given_up`.
pub(crate) fn begin(inner: &Arc<Inner>, id: &str, given_up: &CancellationToken) -> Underway {
    let over = CancellationToken::new();
    let start = Start { given_up: given_up.clone(), over: over.clone() };
    inner.starts.all().insert(id.to_owned(), start);
    Underway { inner: Arc::clone(inner), id: id.to_owned(), over }
}

/// Gives up the start of a sandbox, if one is under way, and waits until it is undone, or has just succeeded.
pub(crate) async fn give_up(inner: &Inner, id: &str) {
    let Some(start) = inner.starts.all().get(id).cloned() else { return };
    start.given_up.cancel();
    if timeout(NOTICE, start.over.cancelled()).await.is_ok() {
        return;
    }
    if let Some(slot) = inner.host.slots.slot_of(id) {
        inner.host.cgroups.kill(slot.number);
    }
    if timeout(PATIENCE, start.over.cancelled()).await.is_err() {
        tracing::warn!(id, "a start that was given up does not end");
    }
}
