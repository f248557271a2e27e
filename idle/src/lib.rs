//! Keeps daemons small while nobody wants anything of them.

mod activity;
mod memory;

use std::{sync::Arc, time::Duration};

pub use activity::Activity;
pub use memory::release;

/// Without a request for this long a daemon counts as idle.
pub const SILENCE: Duration = Duration::from_millis(1500);

/// Keeps an idle daemon small: after the start, and whenever requests have stopped coming. Never returns.
pub async fn release_when_idle(activity: Arc<Activity>) {
    // The first silence counts even when no request came before it.
    let mut seen = None;
    loop {
        seen = Some(activity.quiet_after(seen, SILENCE).await);
        release();
    }
}
