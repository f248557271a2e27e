//! Lines on standard error, one JSON object each.

use tracing::level_filters::LevelFilter;

/// Called once, before anything is logged.
pub(super) fn init(level: LevelFilter) {
    let lines = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_max_level(level)
        .with_writer(std::io::stderr);
    // Only a second call fails, and then the first one's choice stands.
    let _ = lines.try_init();
}
