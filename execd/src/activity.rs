//! Whether anybody wants something of the daemon.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};

/// Notices requests, and when they stop coming.
#[derive(Debug, Default)]
pub struct Activity {
    requests: AtomicU64,
    noticed: Notify,
}

impl Activity {
    /// A request has come.
    pub fn notice(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.noticed.notify_one();
    }

    /// Waits for requests beyond the first `seen` and then until none has come for `silence`; returns their number.
    pub async fn quiet_after(&self, seen: u64, silence: Duration) -> u64 {
        let mut count = self.requests.load(Ordering::Relaxed);
        while count == seen {
            self.noticed.notified().await;
            count = self.requests.load(Ordering::Relaxed);
        }
        loop {
            sleep(silence).await;
            let now = self.requests.load(Ordering::Relaxed);
            if now == count {
                return count;
            }
            count = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::{Instant, timeout};

    use super::*;

    const SILENCE: Duration = Duration::from_secs(2);

    #[tokio::test(start_paused = true)]
    async fn quiet_comes_after_the_last_request() {
        let activity = Arc::new(Activity::default());
        assert!(timeout(Duration::from_secs(60), activity.quiet_after(0, SILENCE)).await.is_err());
        let start = Instant::now();
        let noticing = Arc::clone(&activity);
        tokio::spawn(async move {
            for _ in 0..5 {
                noticing.notice();
                sleep(Duration::from_secs(1)).await;
            }
        });
        assert_eq!(activity.quiet_after(0, SILENCE).await, 5);
        assert!(start.elapsed() >= Duration::from_secs(6), "{:?}", start.elapsed());
        assert!(timeout(Duration::from_secs(60), activity.quiet_after(5, SILENCE)).await.is_err());
    }
}
