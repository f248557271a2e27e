//! Changes of a tree as a stream of events.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sandkeep_specs::execd::files::{WatchEvent, WatchEventKind};
use tokio::io::{Interest, unix::AsyncFd};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::sleep;

use super::tree::{Progress, Tree};
use crate::files::actor::Actor;
use crate::files::error::FileError;
use crate::stream::{EventBody, EventSender, Gone, channel};

/// Watches at the same time: each takes one of the system's inotify instances.
const MAX_WATCHES: usize = 32;

/// Where something moved to is told right after where it came from; without that it has left the tree.
const MOVE_PAIRING: Duration = Duration::from_millis(20);

/// How often a watched directory is asked whether it still is there: a deletion is not told as long as it is open.
const ROOT_CHECK: Duration = Duration::from_secs(1);

static WATCHES: Semaphore = Semaphore::const_new(MAX_WATCHES);

/// Begins to watch a directory; the stream ends when it is gone.
///
/// # Errors
/// When it is no directory, or a limit on watches is reached.
pub(crate) async fn start(root: PathBuf, recursive: bool) -> Result<EventBody, FileError> {
    let permit = WATCHES
        .try_acquire()
        .map_err(|_| FileError::Busy(format!("{MAX_WATCHES} watches are open, which is the limit")))?;
    let shown = root.display().to_string();
    let tree = Actor::own().run(move || Tree::new(&root, recursive)).await?;
    let descriptor = Arc::clone(tree.descriptor());
    // SAFETY: the descriptor is shared with the registration, so it is open for as long as that lives.
    let readable = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }
        .map_err(|error| FileError::Io(format!("{shown}: {error}")))?;
    let (sender, body) = channel();
    tokio::spawn(async move {
        // Dropping the tree gives its watches back, whatever ended the stream.
        let failed = follow(tree, &readable, &sender, permit).await.err();
        if let Some(error) = failed {
            let last = WatchEvent {
                kind: WatchEventKind::Error,
                path: shown,
                from: None,
                directory: true,
                message: Some(error.to_string()),
            };
            // A client that has gone needs no explanation.
            let _ = send(&sender, &[last]).await;
        }
    });
    Ok(body)
}

/// Passes changes on until the client or the directory has gone.
async fn follow(
    mut tree: Tree,
    readable: &AsyncFd<Arc<OwnedFd>>,
    sender: &EventSender,
    _permit: SemaphorePermit<'static>,
) -> Result<(), FileError> {
    let actor = Actor::own();
    loop {
        let read = actor.run(move || {
            let mut events = Vec::new();
            let progress = tree.read(&mut events);
            Ok((tree, events, progress))
        });
        let (back, events, progress) = read.await?;
        tree = back;
        if send(sender, &events).await.is_err() {
            return Ok(());
        }
        match progress? {
            Progress::Ended => return Ok(()),
            Progress::More => {}
            Progress::Drained => {
                tokio::select! {
                    ready = readable.readable() => match ready {
                        Ok(mut ready) => ready.clear_ready(),
                        Err(error) => return Err(FileError::Io(format!("watching failed: {error}"))),
                    },
                    () = sleep(if tree.is_waiting() { MOVE_PAIRING } else { ROOT_CHECK }) => {
                        let mut events = Vec::new();
                        tree.give_up_waiting(&mut events);
                        let gone = tree.tell_if_gone(&mut events);
                        if send(sender, &events).await.is_err() || gone {
                            return Ok(());
                        }
                    }
                    () = sender.closed() => return Ok(()),
                }
            }
        }
    }
}

async fn send(sender: &EventSender, events: &[WatchEvent]) -> Result<(), Gone> {
    if events.is_empty() {
        return Ok(());
    }
    let mut bytes = Vec::new();
    for event in events {
        bytes.extend_from_slice(b"data: ");
        // Writing to a Vec cannot fail, and neither can these members' serialization.
        let _ = serde_json::to_writer(&mut bytes, event);
        bytes.extend_from_slice(b"\n\n");
    }
    sender.send_encoded(&mut bytes).await
}
