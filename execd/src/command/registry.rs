//! All commands: those running, and those ended that are still remembered.

use std::{
    collections::{HashMap, VecDeque},
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sandkeep_specs::execd::command::{CommandStatus, CommandSummary};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use super::{
    background::{KEPT_BYTES, OutputDirectory},
    feed::Feed,
    kept::KeptOutput,
    logs::Logs,
    output::Pipe,
    record::{End, Kept, Outcome, Record},
    request::CommandError,
    window::Place,
};
use crate::{reason::reason, settings::Settings};

/// An ended command is remembered this long.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// How often the outputs of running background commands are looked at.
const TRIM_INTERVAL: Duration = Duration::from_secs(5);

/// Every so many times all ended commands are looked at as well.
const PASSES_TO_TRIM_ALL: u64 = 60;

/// Disk for the output of background commands that have ended; when it is full the oldest goes first.
const ENDED_OUTPUT_BYTES: u64 = 1024 * 1024 * 1024;

/// Memory for ended commands; when it is full the oldest goes first.
const MEMORY_BYTES: usize = 6 * 1024 * 1024;

/// Commands that may run at the same time.
const MAX_RUNNING: usize = 16 * 1024;

/// An interrupted command has this long to end by itself.
const TERM_GRACE: Duration = Duration::from_secs(3);

/// A killed process group is gone within this time, or stuck in the kernel.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// The commands of this daemon; cheap to clone.
#[derive(Debug, Clone)]
pub struct Commands(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Arc<Settings>,
    outputs: Arc<OutputDirectory>,
    kept: Arc<KeptOutput>,
    table: Mutex<Table>,
    /// A command was begun; whoever looks after the remembered ones rests while there are none.
    begun: Notify,
}

#[derive(Debug, Default)]
struct Table {
    records: HashMap<Uuid, Arc<Record>>,
    /// Ended commands, the oldest end first.
    ended: VecDeque<(Instant, Uuid)>,
    /// Memory the ended ones take.
    weight: usize,
    /// All that ever started.
    started: u64,
}

impl Commands {
    /// No commands yet.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        Self(Arc::new(Inner {
            settings,
            outputs: Arc::default(),
            kept: Arc::default(),
            table: Mutex::default(),
            begun: Notify::new(),
        }))
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers of running commands and of all started ones.
    #[must_use]
    pub fn counts(&self) -> (usize, u64) {
        let table = self.table();
        (table.records.len() - table.ended.len(), table.started)
    }

    pub(super) fn refuse_when_full(&self) -> Result<(), CommandError> {
        if self.counts().0 < MAX_RUNNING { Ok(()) } else { Err(CommandError::TooMany(MAX_RUNNING)) }
    }

    pub(super) fn create_output(&self, id: &str) -> io::Result<(fs::File, PathBuf)> {
        self.0.outputs.create(id)
    }

    /// The way of a foreground command's output.
    pub(super) fn feed(&self, id: Uuid, stdout: Pipe, stderr: Pipe) -> Arc<Feed> {
        let place = Place { directory: Arc::clone(&self.0.outputs), id };
        Feed::new(stdout, stderr, place, Arc::clone(&self.0.kept))
    }

    pub(super) fn add(&self, record: &Arc<Record>) {
        let mut table = self.table();
        table.started += 1;
        table.records.insert(record.id, Arc::clone(record));
        self.0.begun.notify_one();
    }

    /// Records the end of a command, and forgets old ones when there are too many.
    pub(super) fn finish(&self, record: &Record, end: End) -> Outcome {
        let outcome = record.finish(end);
        let mut table = self.table();
        table.weight += record.weight();
        table.ended.push_back((Instant::now(), record.id));
        while table.weight > MEMORY_BYTES {
            table.forget_oldest();
        }
        outcome
    }

    pub(super) fn get(&self, id: &str) -> Result<Arc<Record>, CommandError> {
        let known = Uuid::try_parse(id).ok().and_then(|id| self.table().records.get(&id).cloned());
        known.ok_or_else(|| CommandError::Unknown(id.to_owned()))
    }

    /// What is known of a command.
    pub fn status(&self, id: &str) -> Result<CommandStatus, CommandError> {
        Ok(self.get(id)?.status())
    }

    /// The output of a background command from a byte offset on.
    pub fn logs(&self, id: &str, cursor: u64) -> Result<Logs, CommandError> {
        let record = self.get(id)?;
        let Kept::File(output) = &record.output else { return Err(CommandError::Foreground(id.to_owned())) };
        let cursor = cursor.max(output.start());
        Logs::open(&output.path, cursor, !record.is_running()).map_err(|error| {
            CommandError::System(format!("cannot read the output of command {id}: {}", reason(&error)))
        })
    }

    /// Asks a command's process group to end, makes it after three seconds, and returns when it has.
    pub async fn interrupt(&self, id: &str) -> Result<(), CommandError> {
        let record = self.get(id)?;
        match record.group {
            Some(_) if record.is_running() => end(&record, TERM_GRACE).await,
            _ => return Err(CommandError::Ended(id.to_owned())),
        }
        Ok(())
    }

    /// Ends all running commands, the stubborn ones after `grace`.
    pub async fn shutdown(&self, grace: Duration) {
        let running: Vec<_> =
            self.table().records.values().filter(|record| record.is_running()).cloned().collect();
        let ends = running.iter().map(|record| end(record, grace));
        futures_util::future::join_all(ends).await;
    }

    /// The commands that are remembered, the last one started first: those that run, those that ended, or all.
    #[must_use]
    pub fn list(&self, running: Option<bool>, most: usize) -> Vec<CommandSummary> {
        let mut found: Vec<_> = {
            let table = self.table();
            let wanted = |record: &&Arc<Record>| running.is_none_or(|wanted| wanted == record.is_running());
            table.records.values().filter(wanted).cloned().collect()
        };
        found.sort_unstable_by_key(|record| std::cmp::Reverse(record.started()));
        found.iter().take(most).map(|record| record.summary()).collect()
    }

    /// Forgets what ended a day ago, and keeps what background commands leave on the disk within its bounds.
    pub async fn sweep_forever(self) {
        let mut passes = 0_u64;
        loop {
            // A daemon nobody uses sleeps: waking would cost it memory as well.
            while self.table().records.is_empty() {
                self.0.begun.notified().await;
            }
            sleep(TRIM_INTERVAL).await;
            passes += 1;
            let all = passes.is_multiple_of(PASSES_TO_TRIM_ALL);
            self.trim(all).await;
            if all {
                self.sweep();
            }
        }
    }

    /// Drops old output of background commands, those that have ended included when `all` are looked at: what they
    /// left running may still write.
    async fn trim(&self, all: bool) {
        let mut found: Vec<_> = {
            let table = self.table();
            let wanted = |record: &&Arc<Record>| {
                matches!(record.output, Kept::File(_)) && (all || record.is_running())
            };
            table.records.values().filter(wanted).cloned().collect()
        };
        if found.is_empty() {
            return;
        }
        // The oldest come first.
        found.sort_unstable_by_key(|record| record.started());
        let trimmed = tokio::task::spawn_blocking(move || {
            let trim = |record: Arc<Record>| match &record.output {
                Kept::File(output) => (record.id, output.trim(KEPT_BYTES), record.is_running()),
                _ => (record.id, 0, true),
            };
            found.into_iter().map(trim).collect::<Vec<_>>()
        });
        if all {
            self.forget_beyond(ENDED_OUTPUT_BYTES, trimmed.await.unwrap_or_default());
        }
    }

    /// Forgets ended commands, the oldest first, until the rest of them has no more than this on disk.
    fn forget_beyond(&self, most: u64, outputs: Vec<(Uuid, u64, bool)>) {
        let ended = || outputs.iter().filter(|(_, _, running)| !running);
        let mut total: u64 = ended().map(|(_, bytes, _)| bytes).sum();
        let mut table = self.table();
        for (id, bytes, _) in ended() {
            if total <= most {
                return;
            }
            table.forget(*id);
            total -= bytes;
        }
    }

    fn sweep(&self) {
        let mut table = self.table();
        while table.ended.front().is_some_and(|(at, _)| at.elapsed() >= RETENTION) {
            table.forget_oldest();
        }
    }
}

impl Table {
    fn forget_oldest(&mut self) {
        let Some((_, id)) = self.ended.pop_front() else {
            self.weight = 0;
            return;
        };
        if let Some(record) = self.records.remove(&id) {
            self.weight -= record.weight();
            if let Kept::File(output) = &record.output {
                let _ = fs::remove_file(&output.path);
            }
        }
    }

    /// Forgets an ended command out of turn.
    fn forget(&mut self, id: Uuid) {
        if let Some(at) = self.ended.iter().position(|(_, ended)| *ended == id) {
            if let Some(found) = self.ended.remove(at) {
                self.ended.push_front(found);
            }
            self.forget_oldest();
        }
    }
}

/// TERM, then KILL after `grace`, to the command's whole group; waits until it is gone, or for a bounded time.
async fn end(record: &Record, grace: Duration) {
    let Some(group) = record.group else { return };
    let deadline = Instant::now() + grace;
    group.signal(libc::SIGTERM);
    // While the leader is not reaped the group's number cannot be anybody else's.
    let ended = timeout(grace, record.ended()).await.is_ok();
    if ended && group.gone_by(deadline).await {
        return;
    }
    group.signal(libc::SIGKILL);
    let _ = timeout(KILL_GRACE, record.ended()).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::ExitStatus;

    fn commands() -> Commands {
        let settings = Settings {
            access_token: None,
            env_file: None,
            identity: None,
            cwd: "/".into(),
            env: Default::default(),
            owner: Default::default(),
        };
        Commands::new(Arc::new(settings))
    }

    fn ended(commands: &Commands, content: &str) -> String {
        let record = Record::new(crate::id::random(), content.to_owned(), None, Kept::Nothing, None);
        commands.add(&record);
        commands.finish(&record, End::Status(ExitStatus::Exited(0)));
        record.id.simple().to_string()
    }

    #[tokio::test(start_paused = true)]
    async fn ended_commands_are_remembered_for_a_day() {
        let commands = commands();
        let old = ended(&commands, "true");
        let running = Record::new(crate::id::random(), "sleep".to_owned(), None, Kept::Nothing, None);
        commands.add(&running);
        tokio::time::advance(RETENTION - Duration::from_secs(1)).await;
        commands.sweep();
        assert!(commands.status(&old).is_ok());
        tokio::time::advance(Duration::from_secs(2)).await;
        commands.sweep();
        assert_eq!(commands.status(&old).unwrap_err(), CommandError::Unknown(old));
        assert!(commands.status(&running.id.simple().to_string()).unwrap().running);
        assert_eq!(commands.counts(), (1, 2));
    }

    #[tokio::test]
    async fn memory_for_ended_commands_is_bounded() {
        let commands = commands();
        let content = "x".repeat(1024 * 1024);
        let ids: Vec<_> = (0..20).map(|_| ended(&commands, &content)).collect();
        assert!(commands.status(&ids[0]).is_err());
        assert!(commands.status(&ids[19]).is_ok());
        assert!(commands.table().weight <= MEMORY_BYTES);
    }
}
