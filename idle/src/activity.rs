//! Whether anybody wants something of the daemon.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

/// Notices requests, and when they stop coming.
#[derive(Debug)]
pub struct Activity {
    start: Instant,
    /// When the last request came, in milliseconds since the start.
    last: AtomicU64,
    noticed: Notify,
}

impl Default for Activity {
    fn default() -> Self {
        Self { start: Instant::now(), last: AtomicU64::new(0), noticed: Notify::new() }
    }
}

impl Activity {
    /// A request has come.
    pub fn notice(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
        self.noticed.notify_one();
    }

    /// Waits for a request other than the one `seen` and then until none has come for `silence`; returns which was the
    /// last. Without `seen` the start counts as a request.
    pub async fn quiet_after(&self, seen: Option<u64>, silence: Duration) -> u64 {
        loop {
            let last = self.last.load(Ordering::Relaxed);
            let quiet = Duration::from_millis(self.now().saturating_sub(last));
            if Some(last) == seen {
                self.noticed.notified().await;
            } else if quiet >= silence {
                return last;
            } else {
                sleep(silence - quiet).await;
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::timeout;

    use super::*;

    const SILENCE: Duration = Duration::from_secs(2);
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn quiet_comes_after_the_last_request() {
        let activity = Arc::new(Activity::default());
        let start = activity.quiet_after(None, SILENCE).await;
        assert_eq!(activity.start.elapsed(), SILENCE);
        assert!(timeout(LONG, activity.quiet_after(Some(start), SILENCE)).await.is_err());
        let begun = Instant::now();
        let noticing = Arc::clone(&activity);
        tokio::spawn(async move {
            for _ in 0..5 {
                sleep(Duration::from_secs(1)).await;
                noticing.notice();
            }
        });
        let last = activity.quiet_after(Some(start), SILENCE).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(7));
        assert!(timeout(LONG, activity.quiet_after(Some(last), SILENCE)).await.is_err());
    }
}
