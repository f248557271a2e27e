//! Lines on standard error, one JSON object each.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

/// What this program itself tells.
const OWN: [&str; 2] = ["egress_sidecar", "audit"];
/// Most that libraries may tell: what they say of connections and messages may repeat what is in them.
const LIBRARIES: LevelFilter = LevelFilter::INFO;

/// Called once, before anything is logged.
pub(super) fn init(level: LevelFilter) {
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(std::io::stderr);
    let told = Targets::new().with_default(level.min(LIBRARIES)).with_targets(OWN.map(|own| (own, level)));
    // Only a second call fails, and then the first one's choice stands.
    let _ = tracing_subscriber::registry().with(lines.with_filter(told)).try_init();
}
