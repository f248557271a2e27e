//! All processes that came from one session, whether or not they still belong to its shell.

use std::{
    collections::HashMap,
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::sleep;

/// Variable in the environment of everything a session starts; its value is the session's id.
pub(crate) const MARKER: &str = "EXECD_SESSION_ID";

/// Times that the processes are looked for again: they may fork while being killed.
const ROUNDS: usize = 40;

/// Pause between two looks.
const ROUND_PAUSE: Duration = Duration::from_millis(5);

/// The processes of a session: those in the sessions (as the kernel has it) of its shells, those that carry its mark
/// in their environment as far as that may be read, and all descendants of these.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    mark: Vec<u8>,
    /// The shell, leader of its kernel session.
    leader: Option<i32>,
    /// Earlier shells, whose kernel sessions may live on.
    past: Vec<i32>,
}

/// What was there before a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Before {
    /// Clock ticks since boot.
    ticks: u64,
    /// Children that the shell had.
    children: Vec<i32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    session: i32,
    /// Clock ticks since boot at its start; with the number it names a process for good.
    started: u64,
}

/// Processes by their numbers.
type Processes = HashMap<i32, Process>;

impl Family {
    pub(crate) fn new(id: &str) -> Self {
        Self { mark: format!("{MARKER}={id}").into_bytes(), leader: None, past: Vec::new() }
    }

    /// Takes note of a new shell.
    pub(crate) fn set_leader(&mut self, leader: i32) {
        self.past.extend(self.leader.replace(leader));
        if self.past.is_empty() {
            return;
        }
        let all = processes();
        // A number without a process in its session may be given to somebody else.
        self.past.retain(|past| all.values().any(|process| process.session == *past && process.pid != *past));
    }

    /// What there is now.
    pub(crate) fn before(&self) -> Before {
        let children =
            self.leader.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok());
        let children = children.iter().flat_map(|text| text.split_ascii_whitespace());
        Before { ticks: ticks_since_boot(), children: children.filter_map(|pid| pid.parse().ok()).collect() }
    }

    /// Kills all that has been started since, except the shell. Returns how many there were.
    pub(crate) fn kill_since(&self, before: &Before) -> usize {
        let all = processes();
        let members = self.members(&all);
        let is_old =
            |process: &Process| process.started < before.ticks || before.children.contains(&process.pid);
        let mut count = 0;
        for process in members.iter().filter(|process| Some(process.pid) != self.leader && !is_old(process)) {
            let mut ancestors = std::iter::successors(all.get(&process.parent), |next| all.get(&next.parent));
            let of_old =
                ancestors.any(|next| Some(next.pid) != self.leader && is_old(next) && members.contains(next));
            if !of_old {
                kill(process);
                count += 1;
            }
        }
        count
    }

    /// Kills everything, the shell included, and looks again until nothing is left or it takes too long.
    pub(crate) async fn kill_all(&self) {
        // A look that is slightly old does for a beginning: what it misses the next one finds.
        let mut oldest = Instant::now().checked_sub(ROUND_PAUSE);
        for round in 0..ROUNDS {
            let members = self.members(&processes_since(oldest));
            if members.is_empty() && round > 0 {
                return;
            }
            members.iter().for_each(kill);
            oldest = Some(Instant::now());
            sleep(ROUND_PAUSE).await;
        }
        tracing::warn!("processes of a deleted session could not be killed");
    }

    fn members(&self, all: &Processes) -> Vec<Process> {
        let own = i32::try_from(std::process::id()).unwrap_or(1);
        let line = std::iter::successors(Some(own), |pid| all.get(pid).map(|found| found.parent));
        let adopters: Vec<_> = line.chain([1]).collect();
        let is_one = |process: &Process| {
            // An earlier shell is reaped: a process of its number is a stranger, and so is that stranger's session.
            let past = |past: &i32| process.session == *past && !all.contains_key(past);
            let in_session = Some(process.session) == self.leader || self.past.iter().any(past);
            // A process that lost its parent got an ancestor of ours, or us, instead; others are found by descent.
            in_session || (adopters.contains(&process.parent) && self.is_marked(process.pid))
        };
        let is_other = |process: &&Process| process.pid == own || process.pid == 1;
        let mut members: HashMap<i32, bool> =
            all.values().filter(is_other).map(|process| (process.pid, false)).collect();
        let mut belongs = |process: &Process| {
            let line = std::iter::successors(Some(process), |process| all.get(&process.parent));
            let mut undecided = Vec::new();
            let decided = line.into_iter().find_map(|process| match members.get(&process.pid) {
                Some(known) => Some(*known),
                None => {
                    undecided.push(process.pid);
                    is_one(process).then_some(true)
                }
            });
            let decided = decided.unwrap_or(false);
            members.extend(undecided.into_iter().map(|pid| (pid, decided)));
            decided
        };
        all.values().filter(|process| belongs(process)).copied().collect()
    }

    fn is_marked(&self, pid: i32) -> bool {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environment| environment.split(|&byte| byte == 0).any(|entry| entry == self.mark))
    }
}

fn kill(process: &Process) {
    let Some(pid) = Pid::from_raw(process.pid) else { return };
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    // Only now that the handle is held the number cannot change its meaning.
    if read(process.pid).is_some_and(|now| now.started == process.started) {
        let _ = pidfd_send_signal(&handle, Signal::KILL);
    }
}

/// All processes as they were at `oldest` or later: sessions that are deleted together share their looks.
fn processes_since(oldest: Option<Instant>) -> Arc<Processes> {
    static LAST: Mutex<Option<(Instant, Arc<Processes>)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    match &*last {
        Some((at, all)) if oldest.is_some_and(|oldest| *at >= oldest) => Arc::clone(all),
        _ => {
            let (at, all) = (Instant::now(), Arc::new(processes()));
            *last = Some((at, Arc::clone(&all)));
            all
        }
    }
}

/// All processes that are not just waiting to be reaped.
fn processes() -> Processes {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(read).map(|process| (process.pid, process)).collect()
}

fn read(pid: i32) -> Option<Process> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(pid: i32, stat: &str) -> Option<Process> {
    // The name in parentheses may contain anything, parentheses too.
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let started = fields.nth(15)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(Process { pid, parent, session, started })
}

fn ticks_since_boot() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let nanos =
        u128::from(now.tv_sec.unsigned_abs()) * 1_000_000_000 + u128::from(now.tv_nsec.unsigned_abs());
    let ticks = nanos * u128::from(rustix::param::clock_ticks_per_second()) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn start(mark: &str, script: &str) -> Child {
        Command::new("sh").args(["-c", script]).env(MARKER, mark).stdin(Stdio::null()).spawn().unwrap()
    }

    fn is_killed(child: &mut Child) -> bool {
        use std::os::unix::process::ExitStatusExt;
        for _ in 0..200 {
            if let Some(status) = child.try_wait().unwrap() {
                return status.signal() == Some(libc::SIGKILL);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    #[test]
    fn a_status_line_is_read_behind_the_name() {
        let stat = "7 (a) b (c) S 3 7 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 1234 9 9";
        assert_eq!(parse(7, stat), Some(Process { pid: 7, parent: 3, session: 5, started: 1234 }));
        assert_eq!(parse(7, &stat.replace(" S ", " Z ")), None);
        assert_eq!(parse(7, "7 (a"), None);
    }

    #[tokio::test]
    async fn all_with_the_mark_are_killed_and_no_other() {
        let mut own = start("family-one", "setsid sleep 60 & exec sleep 60");
        let mut other = start("family-two", "exec sleep 60");
        let family = Family::new("family-one");
        std::thread::sleep(Duration::from_millis(50));
        family.kill_all().await;
        assert!(is_killed(&mut own));
        assert_eq!(family.members(&processes()), []);
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn only_what_came_later_is_killed() {
        let mut shell = start("family-three", "sleep 61 & read x");
        std::thread::sleep(Duration::from_millis(50));
        let mut family = Family::new("family-three");
        family.leader = Some(i32::try_from(shell.id()).unwrap());
        let before = family.before();
        std::thread::sleep(Duration::from_millis(30));
        let mut late = start("family-three", "exec sleep 60");
        std::thread::sleep(Duration::from_millis(30));
        family.kill_since(&before);
        assert!(is_killed(&mut late));
        assert!(family.members(&processes()).iter().any(|process| process.pid != family.leader.unwrap()));
        family.kill_since(&Before::default());
        shell.kill().unwrap();
        shell.wait().unwrap();
    }
}
