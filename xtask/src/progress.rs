//! Plain lines about what is going on; no cursor tricks, so that logs stay readable.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// A step that says nothing for this long is reported as still running.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Runs one step: says what begins, that it still runs, and how long it took.
pub(crate) fn step<T>(title: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {title}");
    let start = Instant::now();
    let (done, wait) = mpsc::channel::<()>();
    let result = thread::scope(|scope| {
        scope.spawn(move || {
            while let Err(mpsc::RecvTimeoutError::Timeout) = wait.recv_timeout(HEARTBEAT) {
                println!("    still at it after {}", seconds(start.elapsed()));
            }
        });
        let result = work();
        drop(done);
        result
    });
    let result = result.with_context(|| format!("failed: {title}"))?;
    println!("    done in {}: {title}", seconds(start.elapsed()));
    Ok(result)
}

/// A duration for people.
pub(crate) fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{:.0} ms", duration.as_secs_f64() * 1e3),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        whole => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_naturally() {
        assert_eq!(seconds(Duration::from_millis(12)), "12 ms");
        assert_eq!(seconds(Duration::from_millis(1_500)), "1.5 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 05 s");
    }

    #[test]
    fn a_failed_step_names_itself_and_its_cause() {
        let error = step::<()>("bake", || anyhow::bail!("no flour")).unwrap_err();
        assert_eq!(format!("{error:#}"), "failed: bake: no flour");
    }
}
