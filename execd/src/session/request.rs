//! A run that a client asks for.

use std::time::Duration;

use crate::stream::EventSender;

/// A run without a time limit of its own ends after this time.
pub(super) const MAX_RUN_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// A checked run on its way to the session's shell.
#[derive(Debug)]
pub(super) struct Run {
    /// What the shell evaluates.
    pub(super) text: String,
    pub(super) limit: Duration,
    pub(super) events: EventSender,
}

/// The time a run may take.
pub(super) fn limit(millis: Option<u64>) -> Duration {
    millis.filter(|millis| *millis > 0).map_or(MAX_RUN_TIME, Duration::from_millis).min(MAX_RUN_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_run_is_endless() {
        assert_eq!(limit(None), MAX_RUN_TIME);
        assert_eq!(limit(Some(0)), MAX_RUN_TIME);
        assert_eq!(limit(Some(u64::MAX)), MAX_RUN_TIME);
        assert_eq!(limit(Some(1)), Duration::from_millis(1));
    }
}
