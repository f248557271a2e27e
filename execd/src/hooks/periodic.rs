//! Hooks that run on schedules.

use std::time::Duration;

use chrono::{DateTime, Local};
use sandkeep_specs::lifecycle::{Cron, Schedule};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::{clock, plan::Periodic, run::Surroundings};

/// The clock may be set: it is looked at again at least this often while waiting for a time.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Runs the hook whenever it is due, for as long as the daemon lives. A run that takes longer than the time to the
/// next one makes that one fall out: runs never overlap.
pub async fn repeat(periodic: Periodic, surroundings: Surroundings) {
    match periodic.schedule {
        Schedule::Every(interval) => {
            let mut ticks = interval_at(Instant::now() + interval, interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                run(&periodic, &surroundings).await;
            }
        }
        Schedule::Cron(cron) => {
            while let Some(due) = next(&cron) {
                wait_for(due).await;
                run(&periodic, &surroundings).await;
            }
        }
    }
}

async fn run(periodic: &Periodic, surroundings: &Surroundings) {
    if let Err(problem) = periodic.hook.run(surroundings).await {
        tracing::warn!(hook = periodic.name, %problem, "periodic hook failed");
    }
}

fn next(cron: &Cron) -> Option<DateTime<Local>> {
    clock::next(cron, &Local::now())
}

async fn wait_for(due: DateTime<Local>) {
    // Negative once it is due.
    while let Ok(left) = (due - Local::now()).to_std()
        && !left.is_zero()
    {
        sleep(left.min(LOOK_AGAIN)).await;
    }
}
