//! Process groups.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often a group is looked at while waiting for its end.
const POLL: Duration = Duration::from_millis(10);

/// A process group, named by its leader.
///
/// Its number stays taken as long as one process is in the group, so signal it only while that is known or was
/// known a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group(i32);

impl Group {
    pub(super) fn new(leader: i32) -> Self {
        Self(leader)
    }

    /// Sends a signal to every member; false when there is none.
    pub fn signal(self, signal: i32) -> bool {
        // SAFETY: plain system call; the number is a child's, hence positive and not 1.
        unsafe { libc::kill(-self.0, signal) == 0 }
    }

    /// Whether it has members, ended but unreaped ones included.
    #[must_use]
    pub fn exists(self) -> bool {
        self.signal(0)
    }

    /// Waits until the group is empty; false when it is not by `deadline`.
    pub async fn gone_by(self, deadline: Instant) -> bool {
        while self.exists() {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(POLL).await;
        }
        true
    }
}
