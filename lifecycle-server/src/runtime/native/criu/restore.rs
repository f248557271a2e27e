//! Starting a sandbox from its memory.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{
    Found, Tool,
    images::{Memory, Outside},
    save::change_root,
    session::{LOG, Said, Session, complaint},
};
use crate::{
    fault,
    runtime::{
        LaunchReport, LaunchSpec, RuntimeError,
        native::{
            again, console,
            host::Context,
            launch::{Phases, Staged},
            launcher::{
                Launched,
                criu::{INHERITED_FD, MOUNTS_FD},
                plan::Plan,
            },
            runtime::{Inner, blocking},
            sidecar,
            state::{Identity, Record, boot_id},
            watch::{self, Live, Process},
        },
    },
};

/// How long restoring may take: some gigabytes of memory from a slow disk.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long CRIU may take to end once it is done.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// How long a CRIU without its server may take to give up or to finish.
const SETTLE_PATIENCE: Duration = Duration::from_secs(30);
const SETTLE_PAUSE: Duration = Duration::from_millis(5);

/// The first process exists, in namespaces of its own, and there is nothing in it yet.
const NAMESPACES: &str = "setup-namespaces";
/// Everything is there; nothing has gone on.
const RESTORED: &str = "post-restore";

/// Starts a stopped sandbox from its memory. After an error it is stopped as before.
pub(crate) async fn restore(inner: &Arc<Inner>, spec: &LaunchSpec) -> Result<LaunchReport, RuntimeError> {
    let Found::Tool(tool) = inner.criu.found().await else {
        let text = "its memory was kept, and this host has no CRIU any more that could bring it back";
        return Err(RuntimeError::StartFailed(text.to_owned()));
    };
    let (host, wish) = (inner.clone(), spec.clone());
    let (staged, mut phases) =
        blocking("prepare a sandbox", move || again::stage(&host.host, &wish, None, Phases::begin())).await?;
    fault::point("start.staged");
    let done = bring_back(inner, tool, spec, staged, &mut phases).await;
    if done.is_err() {
        inner.host.cgroups.kill(spec.slot.number);
        let (inner, spec) = (inner.clone(), spec.clone());
        blocking("clean up", move || {
            Memory::of(&inner.host.paths.sandbox(&spec.id)).give_back();
            inner.host.strip(spec.slot.number)
        })
        .await?;
    }
    done.map(|()| LaunchReport { memory: true, ..phases.report() })
}

async fn bring_back(
    inner: &Arc<Inner>,
    tool: &Tool,
    spec: &LaunchSpec,
    staged: Staged,
    phases: &mut Phases,
) -> Result<(), RuntimeError> {
    let Staged { directory, mut plan, root, netns, userns, store, .. } = staged;
    let Staged { entrance, console, sidecar, .. } = staged;
    // What is in /proc belongs to a pid namespace that is yet to be made.
    plan.mounts.retain(|mount| mount.target.as_c_str() != c"proc");
    let log = inner.logs.open(&spec.id);
    let drain = console::drain(&directory, Arc::clone(&log)).context("open the console")?;
    let memory = Memory::of(&directory);
    let note = memory.note().context("read the saved memory")?;
    if note.boot_id != boot_id().context("read the saved memory")? {
        let text = "its memory was kept before this host was restarted and cannot be brought back; started with \
                    {\"memory\": false} it begins anew on its files";
        return Err(RuntimeError::StartFailed(text.to_owned()));
    }
    let images = File::open(&memory.whole).context("read the saved memory")?;
    let null = File::open("/dev/null").context("open /dev/null")?;
    let mut outside = Vec::new();
    for (name, what) in note.outside {
        let file: BorrowedFd<'_> = match what {
            Outside::Console => console.as_fd(),
            Outside::Null => null.as_fd(),
            Outside::Gauge(number) => {
                let gauge = entrance.gauges.get(number).map(AsFd::as_fd);
                gauge.ok_or_else(|| {
                    RuntimeError::StartFailed("its control group is of another kind now".into())
                })?
            }
        };
        outside.push((name, file));
    }
    let (session, theirs) = Session::new(PATIENCE).context("talk to CRIU")?;
    let (control, far) = UnixStream::pair().context("talk to CRIU")?;
    let uncovered = Plan { masked: Vec::new(), ..plan.clone() };
    let mut fds = vec![
        root.as_fd(),
        netns.as_fd(),
        userns.as_fd(),
        console.as_fd(),
        far.as_fd(),
        theirs.as_fd(),
        images.as_fd(),
        tool.restore_cache.as_fd(),
        tool.home.as_fd(),
    ];
    fds.extend(entrance.unified.iter().chain(&entrance.tasks).map(AsFd::as_fd));
    fds.extend(outside.iter().map(|(_, file)| *file));
    let launched = inner
        .host
        .launcher
        .restore(&uncovered, entrance.unified.is_some(), entrance.tasks.len(), &fds)
        .await
        .context("start CRIU")?;
    let names: Vec<String> = outside.into_iter().map(|(name, _)| name).collect();
    let guard = sidecar.map(|running| sidecar::guard(inner.clone(), spec.slot, &directory, netns, running));
    drop((theirs, far, root, userns, console, entrance, null));
    phases.mark("clone");
    let Launched { pid: criu, pidfd, status } = launched;
    let work = Work { inner: inner.clone(), spec: spec.clone(), plan, memory, criu, control };
    let restored = blocking("restore a sandbox", move || {
        work.carry_out(&session, &names).map_err(|error| {
            let log =
                [&work.memory.whole, &work.memory.used].map(|images| fs::read_to_string(images.join(LOG)));
            let log: String = log.into_iter().flatten().collect();
            let text = complaint(&log).unwrap_or_else(|| error.to_string());
            RuntimeError::StartFailed(format!("its memory could not be brought back: {text}"))
        })
    })
    .await;
    let ended = tokio::time::timeout(END_PATIENCE, status).await;
    if ended.is_err() {
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    }
    phases.mark("restore");
    let (process, record) = match restored {
        Ok(restored) => restored,
        Err(error) => {
            drain.abort();
            return Err(error);
        }
    };
    let watch = watch::spawn(inner.clone(), &spec.id, &process, None, record);
    let live = Live { slot: spec.slot, process, drain, watch, store: Some(store), guard };
    inner.live().insert(spec.id.clone(), live);
    let _ = tool.seal_cache();
    // Only one start may use it, and this one has.
    let memory = Memory::of(&directory);
    inner.host.reaper.dispose(None, Some(memory.leave().context("leave a memory behind")?));
    Ok(())
}

/// Waits until a CRIU that lost its server has ended the processes it was restoring, or let them go.
pub(crate) fn settle(pid: i32) {
    let since = Instant::now();
    while is_in_hand(pid) && since.elapsed() < SETTLE_PATIENCE {
        std::thread::sleep(SETTLE_PAUSE);
    }
}

/// Whether the parent of a first process is in the same control groups: no other parent is.
fn is_in_hand(pid: i32) -> bool {
    let read = |pid: &str, file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
    let status = read(&pid.to_string(), "status").unwrap_or_default();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).map(str::trim);
    let groups = parent.and_then(|parent| read(parent, "cgroup"));
    groups.is_some_and(|groups| Some(groups) == read(&pid.to_string(), "cgroup"))
}

struct Work {
    inner: Arc<Inner>,
    spec: LaunchSpec,
    plan: Plan,
    memory: Memory,
    /// The process beside CRIU.
    criu: i32,
    /// To the process beside CRIU.
    control: UnixStream,
}

impl Work {
    fn carry_out(&self, session: &Session, outside: &[String]) -> io::Result<(Process, Record)> {
        let numbers = (INHERITED_FD as u64)..;
        session.restore(outside.iter().map(String::as_str).zip(numbers))?;
        let mut restored = None;
        loop {
            match session.listen()? {
                Said::Reached { point, pid } => {
                    match point.as_str() {
                        NAMESPACES => self.set_up_proc(pid, false)?,
                        RESTORED => {
                            self.set_up_proc(pid, true)?;
                            change_root(&self.control)?;
                            restored = Some(self.enter_in_record(pid)?);
                            self.memory.consume()?;
                            fault::point("start.restored");
                        }
                        _ => {}
                    }
                    session.go_on()?;
                }
                Said::Done { success: true, .. } => {
                    return restored.ok_or_else(|| io::Error::other("CRIU left a step out"));
                }
                Said::Done { .. } => return Err(io::Error::other("CRIU could not restore it")),
            }
        }
    }

    fn set_up_proc(&self, first: i32, cover: bool) -> io::Result<()> {
        let mounts: OwnedFd = File::open(format!("/proc/{}/fd/{MOUNTS_FD}", self.criu))?.into();
        let pids: OwnedFd = File::open(format!("/proc/{first}/ns/pid"))?.into();
        self.inner.host.launcher.proc(&self.plan, cover, mounts.as_fd(), pids.as_fd())
    }

    /// From now on a later server finds the process.
    fn enter_in_record(&self, pid: i32) -> io::Result<(Process, Record)> {
        let number = Pid::from_raw(pid).ok_or_else(|| io::Error::other("CRIU names no process"))?;
        let pidfd = pidfd_open(number, PidfdFlags::empty())?;
        let process = Identity::of(pid, pidfd.as_fd())?;
        let directory = self.inner.host.paths.sandbox(&self.spec.id);
        let record = Record {
            slot: self.spec.slot.number,
            process,
            oci: false,
            exit_code: None,
            layers: self.spec.layers.clone(),
        };
        record.save(&directory)?;
        Ok((Process { pid, pidfd: Arc::new(pidfd) }, record))
    }
}
