//! Named points at which a test may have the server end, as suddenly as by a power cut.

use std::sync::LazyLock;

/// Environment variable that names the point; without it there are none.
const VARIABLE: &str = "SANDKEEP_FAULT_POINT";

static CHOSEN: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(VARIABLE).ok());

/// Ends the process by SIGKILL if `name` is the point that was asked for.
pub(crate) fn point(name: &str) {
    if CHOSEN.as_deref() == Some(name) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
