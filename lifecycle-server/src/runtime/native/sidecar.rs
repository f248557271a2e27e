//! The egress sidecar of a sandbox: a process of the host's in the sandbox's network, from before anything of the
//! sandbox runs there until after.
//!
//! It has a directory in the sandbox's own, with what it was told, its policy and its authority, so that it can be
//! started again by any later server. Its rules stay in the kernel when it is gone: until it is back, nothing passes
//! that needs it.

use std::{
    fs,
    io::{self, Read},
    net::Ipv4Addr,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
    process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open},
};
use serde::{Deserialize, Serialize};
use tokio::{
    process::{Child, Command},
    task::JoinHandle,
};

use super::{
    host::{Context, Host},
    refusals, rootfs,
    runtime::{Inner, blocking},
    state::Identity,
    watch::{Process, gone},
};
use crate::runtime::{Guaranteed, Limits, Refusal, RuntimeError, Sidecar, Slot};

/// Its directory in the sandbox's.
const DIRECTORY: &str = "egress";
const ORDER: &str = "order.json";
const STATE: &str = "state.json";
/// What it writes there itself.
const POLICY: &str = "policy.json";
const SOCKETS: &str = "sockets.json";
const SOCKET: &str = "active.sock";
const CERTIFICATE: &str = "ca-cert.pem";

const READY_VARIABLE: &str = "OPENSANDBOX_EGRESS_READY_FD";
const STATE_VARIABLE: &str = "SANDKEEP_EGRESS_STATE_DIR";
const POLICY_VARIABLE: &str = "OPENSANDBOX_EGRESS_POLICY_FILE";
const SOCKETS_VARIABLE: &str = "SANDKEEP_EGRESS_SOCKETS";
const SOCKET_VARIABLE: &str = "OPENSANDBOX_CREDENTIAL_PROXY_SOCKET";
const UPSTREAM_VARIABLE: &str = "OPENSANDBOX_EGRESS_DNS_UPSTREAM";

/// What a sidecar may use; far above what it needs, and bounded, because sandboxes decide what it is asked for.
const LIMITS: Limits = Limits {
    cpu_millis: Some(1000),
    memory_bytes: Some(192 << 20),
    pids: Some(128),
    disk_bytes: None,
    guaranteed: Guaranteed::NOTHING,
};
/// Pause before one that ended early or did not start is started again; doubled each time that happens again.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// One that ran this long has not ended early.
const STEADY: Duration = Duration::from_secs(10);

/// A sidecar that does its work.
pub(crate) struct Running {
    process: Process,
    /// Unless an earlier server started it.
    child: Option<Child>,
    /// The sandbox has to trust its authority.
    pub(super) intercepts: bool,
    /// What it serves, kept for the one that comes after it.
    sockets: Vec<OwnedFd>,
}

/// What the sidecar of the sandbox with this directory has refused, oldest first.
pub(super) fn refusals(sandbox: &Path) -> io::Result<Vec<Refusal>> {
    refusals::read(&sandbox.join(DIRECTORY))
}

/// Sees to it that a sandbox's sidecar runs, until it is dropped.
pub(crate) struct Guard {
    task: JoinHandle<()>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    process: Identity,
}

/// What one sidecar belongs to.
#[derive(Debug, Clone)]
struct Place {
    slot: Slot,
    directory: PathBuf,
}

/// Notes what a sandbox's sidecar is told, starts it and returns once it does its work; the sandbox gets what it needs to
/// trust it. After an error a process may be left in the slot's cgroups.
pub(super) fn begin(
    host: &Host,
    slot: Slot,
    sandbox: &Path,
    netns: BorrowedFd<'_>,
    store: BorrowedFd<'_>,
    order: &Sidecar,
) -> Result<Running, RuntimeError> {
    let directory = sandbox.join(DIRECTORY);
    let made = fs::DirBuilder::new().mode(0o700).create(&directory);
    made.and_then(|()| save(&directory, ORDER, order)).context("note what the egress sidecar is told")?;
    enter(host, &Place { slot, directory }, netns, store, order)
}

/// The same from what is on record of it; `None` if the sandbox has no sidecar.
pub(super) fn go_on(
    host: &Host,
    slot: Slot,
    sandbox: &Path,
    netns: BorrowedFd<'_>,
    store: BorrowedFd<'_>,
) -> Result<Option<Running>, RuntimeError> {
    let directory = sandbox.join(DIRECTORY);
    let Some(order) = order(&directory).context("read what the egress sidecar is told")? else {
        return Ok(None);
    };
    enter(host, &Place { slot, directory }, netns, store, &order).map(Some)
}

/// Starts the sidecar, and has the sandbox trust it if it reads TLS.
fn enter(
    host: &Host,
    place: &Place,
    netns: BorrowedFd<'_>,
    store: BorrowedFd<'_>,
    order: &Sidecar,
) -> Result<Running, RuntimeError> {
    let running = start(host, place, netns, order, &[])?;
    if order.intercepts {
        fs::read(place.directory.join(CERTIFICATE))
            .and_then(|certificate| rootfs::write_authority(store, &certificate))
            .context("give the sandbox the egress sidecar's authority")?;
    }
    Ok(running)
}

/// Watches over a sidecar that runs.
pub(super) fn guard(
    inner: Arc<Inner>,
    slot: Slot,
    sandbox: &Path,
    netns: OwnedFd,
    running: Running,
) -> Guard {
    let place = Place { slot, directory: sandbox.join(DIRECTORY) };
    Guard { task: tokio::spawn(keep(inner, place, netns, Some(running))) }
}

/// Watches over the sidecar of a sandbox that outlived a server; `None` if it has none. One that is gone is started.
pub(super) fn adopt(
    inner: &Arc<Inner>,
    slot: Slot,
    sandbox: &Path,
    first: i32,
) -> Result<Option<Guard>, RuntimeError> {
    let directory = sandbox.join(DIRECTORY);
    if !directory.join(ORDER).exists() {
        return Ok(None);
    }
    let netns = fs::File::open(format!("/proc/{first}/ns/net")).context("open the sandbox's network")?;
    let found = load::<State>(&directory, STATE).ok().flatten();
    let found = found.and_then(|state| Some((state.process.pid, state.process.find()?)));
    // What the sandbox had to trust it has been given.
    let running = found.map(|(pid, pidfd)| Running {
        sockets: sockets(&directory, pidfd.as_fd()),
        process: Process { pid, pidfd: Arc::new(pidfd) },
        child: None,
        intercepts: false,
    });
    let task = tokio::spawn(keep(inner.clone(), Place { slot, directory }, netns.into(), running));
    Ok(Some(Guard { task }))
}

async fn keep(inner: Arc<Inner>, place: Place, netns: OwnedFd, mut running: Option<Running>) {
    let (netns, mut pauses) = (Arc::new(netns), Pauses::default());
    // A sandbox could have its sidecar's ports while that is away, and so keep it away.
    let mut kept = Arc::new(Vec::new());
    loop {
        if let Some(mut current) = running.take() {
            kept = Arc::new(std::mem::take(&mut current.sockets));
            let since = Instant::now();
            if let Err(error) = current.end().await {
                tracing::error!(%error, slot = place.slot.number, "cannot watch an egress sidecar");
                return;
            }
            tracing::warn!(slot = place.slot.number, "an egress sidecar has ended; starting it again");
            tokio::time::sleep(pauses.after(since.elapsed())).await;
        }
        let (again, there, at, passed) = (inner.clone(), netns.clone(), place.clone(), kept.clone());
        let started = blocking("start an egress sidecar", move || {
            // One that a server did not get to note before it was killed.
            again.host.cgroups.sidecars().kill_listed(at.slot.number);
            match order(&at.directory).context("read what the egress sidecar is told")? {
                Some(order) => start(&again.host, &at, there.as_fd(), &order, &passed).map(Some),
                None => Ok(None),
            }
        });
        match started.await {
            Ok(None) => return,
            Ok(Some(again)) => running = Some(again),
            Err(error) => {
                tracing::error!(%error, slot = place.slot.number, "an egress sidecar does not start");
                tokio::time::sleep(pauses.after(Duration::ZERO)).await;
            }
        }
    }
}

/// How long to wait between starts: what a sandbox does may end its sidecar again and again.
#[derive(Default)]
struct Pauses {
    last: Duration,
}

impl Pauses {
    /// The pause after one that ran for so long.
    fn after(&mut self, ran: Duration) -> Duration {
        let is_early = ran < STEADY;
        self.last = if is_early { (self.last * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE) } else { Duration::ZERO };
        self.last
    }
}

impl Running {
    /// Waits until it is gone.
    async fn end(self) -> io::Result<()> {
        match self.child {
            Some(mut child) => child.wait().await.map(drop),
            None => gone(&self.process).await,
        }
    }
}

/// Starts the program in the sandbox's network and waits until it says that it does its work.
fn start(
    host: &Host,
    place: &Place,
    netns: BorrowedFd<'_>,
    order: &Sidecar,
    passed: &[OwnedFd],
) -> Result<Running, RuntimeError> {
    let Some(program) = &host.config.egress_sidecar else {
        let text = "this server has no egress sidecar: there is no such program beside it, and native.egress_sidecar names none";
        return Err(RuntimeError::Invalid(text.to_owned()));
    };
    let cgroups = host.cgroups.sidecars();
    cgroups.create(place.slot.number).context("create the egress sidecar's cgroups")?;
    cgroups.limit(place.slot.number, &LIMITS).context("limit the egress sidecar")?;
    let doors = cgroups.doors(place.slot.number).context("open the egress sidecar's cgroups")?;
    let (ready, told) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from).context("make a pipe")?;
    let handed = Handed { netns, doors: &doors, told: &told, sockets: passed };
    let child = spawn(program, place, order, &host.resolvers, &handed).context("start the egress sidecar")?;
    drop(told);
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
    let pidfd = Pid::from_raw(pid).ok_or(Errno::SRCH);
    let pidfd = pidfd.and_then(|pid| pidfd_open(pid, PidfdFlags::empty())).map_err(io::Error::from);
    let pidfd = pidfd.context("hold the egress sidecar")?;
    let identity = Identity::of(pid, pidfd.as_fd()).context("know the egress sidecar")?;
    save(&place.directory, STATE, &State { process: identity }).context("note the egress sidecar")?;
    await_ready(ready, pidfd.as_fd(), order.patience)?;
    let process = Process { pid, pidfd: Arc::new(pidfd) };
    let sockets = sockets(&place.directory, process.pidfd.as_fd());
    Ok(Running { process, child: Some(child), intercepts: order.intercepts, sockets })
}

/// Descriptors of our own for what a sidecar serves; without them its ports are free once it has ended.
fn sockets(directory: &Path, process: BorrowedFd<'_>) -> Vec<OwnedFd> {
    let numbers: Vec<i32> = match load(directory, SOCKETS) {
        Ok(numbers) => numbers.unwrap_or_default(),
        Err(error) => {
            tracing::warn!(%error, "cannot tell what an egress sidecar serves");
            Vec::new()
        }
    };
    let mut kept = Vec::new();
    for number in numbers {
        match pidfd_getfd(process, number, PidfdGetfdFlags::empty()) {
            Ok(socket) => kept.push(socket),
            Err(error) => tracing::warn!(%error, "cannot keep a socket of an egress sidecar"),
        }
    }
    kept
}

/// Descriptors a sidecar is started with, or by.
struct Handed<'a> {
    netns: BorrowedFd<'a>,
    doors: &'a [OwnedFd],
    /// Where it says that it is ready.
    told: &'a OwnedFd,
    /// What the one before it served.
    sockets: &'a [OwnedFd],
}

fn spawn(
    program: &Path,
    place: &Place,
    order: &Sidecar,
    resolvers: &[Ipv4Addr],
    handed: &Handed<'_>,
) -> io::Result<Child> {
    let upstream: Vec<String> = resolvers.iter().map(Ipv4Addr::to_string).collect();
    let sockets: Vec<i32> = handed.sockets.iter().map(AsRawFd::as_raw_fd).collect();
    let numbers: Vec<String> = sockets.iter().map(ToString::to_string).collect();
    let mut command = Command::new(program);
    command
        .current_dir(&place.directory)
        .env_clear()
        .env(UPSTREAM_VARIABLE, upstream.join(","))
        .envs(&order.env)
        .env(READY_VARIABLE, handed.told.as_raw_fd().to_string())
        .env(STATE_VARIABLE, &place.directory)
        .env(POLICY_VARIABLE, POLICY)
        .env(SOCKET_VARIABLE, SOCKET)
        .env(SOCKETS_VARIABLE, numbers.join(","))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let (netns, told) = (handed.netns.as_raw_fd(), handed.told.as_raw_fd());
    let doors: Vec<i32> = handed.doors.iter().map(AsRawFd::as_raw_fd).collect();
    let enter = move || {
        // SAFETY: system calls on descriptors that are open across the fork; nothing is allocated.
        unsafe {
            for door in &doors {
                if libc::write(*door, c"0".as_ptr().cast(), 1) != 1 {
                    return Err(io::Error::last_os_error());
                }
            }
            if libc::setns(netns, libc::CLONE_NEWNET) != 0
                || libc::setsid() < 0
                || libc::fcntl(told, libc::F_SETFD, 0) != 0
                || sockets.iter().any(|socket| libc::fcntl(*socket, libc::F_SETFD, 0) != 0)
            {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: what runs between fork and exec makes system calls only.
    unsafe { command.pre_exec(enter) };
    command.spawn()
}

/// A process that another thread is just starting may hold the pipe as well, so the end of it alone tells nothing.
fn await_ready(ready: OwnedFd, process: BorrowedFd<'_>, patience: Duration) -> Result<(), RuntimeError> {
    let deadline = Instant::now() + patience;
    let mut watched = [PollFd::new(&ready, PollFlags::IN), PollFd::new(&process, PollFlags::IN)];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 60, tv_nsec: 0 });
        match poll(&mut watched, Some(&left)) {
            // Some child's end is told by a signal, on whichever thread.
            Err(Errno::INTR) => {}
            Ok(0) => {
                let text = format!("the egress sidecar was not ready within {} s", patience.as_secs());
                return Err(RuntimeError::StartFailed(text));
            }
            Ok(_) => break,
            Err(error) => return Err(io::Error::from(error)).context("wait for the egress sidecar"),
        }
    }
    let mut byte = [0];
    rustix::io::ioctl_fionbio(&ready, true).map_err(io::Error::from).context("hear the egress sidecar")?;
    match fs::File::from(ready).read(&mut byte) {
        Ok(1) => Ok(()),
        _ => Err(RuntimeError::StartFailed("the egress sidecar ended before it was ready".into())),
    }
}

fn order(directory: &Path) -> io::Result<Option<Sidecar>> {
    load(directory, ORDER)
}

fn load<T: for<'a> Deserialize<'a>>(directory: &Path, name: &str) -> io::Result<Option<T>> {
    match fs::read(directory.join(name)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// In one step, and for nobody but the host's root: it holds secrets.
fn save(directory: &Path, name: &str, value: &impl Serialize) -> io::Result<()> {
    let fresh = directory.join(format!("{name}.new"));
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    serde_json::to_writer(file, value)?;
    fs::rename(fresh, directory.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_ends_again_and_again_is_started_ever_more_rarely() {
        let mut pauses = Pauses::default();
        assert_eq!(pauses.after(STEADY), Duration::ZERO);
        let early: Vec<_> = (0..10).map(|_| pauses.after(STEADY / 2)).collect();
        assert_eq!(early[..3], [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4]);
        assert_eq!(early[8..], [LONGEST_PAUSE; 2]);
        assert_eq!(pauses.after(Duration::ZERO), LONGEST_PAUSE);
        assert_eq!(pauses.after(STEADY * 2), Duration::ZERO);
        assert_eq!(pauses.after(Duration::ZERO), FIRST_PAUSE);
    }
}
