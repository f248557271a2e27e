//! One start, from slot to a listening execd.

use std::{
    fs,
    io::{self, Write},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use oci_spec::runtime::Spec;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::{io::AsyncReadExt, net::unix::pipe, sync::oneshot, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    again,
    cgroup::Entrance,
    console, disk,
    host::{Context, Host},
    launcher::plan::Plan,
    rootfs,
    runtime::{Inner, blocking},
    sidecar::{self, Guard},
    slots::Prepared,
    spec::{self, Join},
    state::{Identity, Record, exit_code},
    volume,
    watch::{self, Live, Process},
};
use crate::{
    fault,
    runtime::{HandOver, LaunchReport, LaunchSpec, Log, RuntimeError, oci::ROOT_POINT},
};

/// How long execd may take until the user's program runs, not counting what comes before that program.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may take on top of that to have everything in a sandbox trust the authority of its sidecar: the image's own
/// tools do it, among them one in Java.
const TRUST_TIMEOUT: Duration = Duration::from_secs(120);
/// How long the end of a failed first process may take to become known.
const POST_MORTEM: Duration = Duration::from_millis(500);
/// Output quoted when a start fails.
const QUOTED_OUTPUT: usize = 8 * 1024;

/// A start under way.
pub(crate) struct Launch {
    inner: Arc<Inner>,
    spec: LaunchSpec,
    origin: Origin,
    /// Of one that is started again and was started ahead of its owner.
    owner: Option<HandOver>,
    phases: Phases,
}

/// What a sandbox starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Its image.
    Image,
    /// What it left when it was stopped, which a failure must not cost it.
    Kept,
}

/// Takes the time between marks.
pub(super) struct Phases {
    report: LaunchReport,
    last: Instant,
}

impl Phases {
    pub(super) fn begin() -> Self {
        Self { report: LaunchReport::default(), last: Instant::now() }
    }

    /// What was taken down so far.
    pub(super) fn report(self) -> LaunchReport {
        self.report
    }

    pub(super) fn mark(&mut self, name: &'static str) {
        let now = Instant::now();
        self.report.phases.push((name, now - self.last));
        self.last = now;
    }
}

/// Everything ready for the first process.
pub(super) struct Staged {
    pub directory: PathBuf,
    pub document: Spec,
    pub plan: Plan,
    pub root: OwnedFd,
    pub netns: OwnedFd,
    pub userns: OwnedFd,
    pub store: OwnedFd,
    pub entrance: Entrance,
    pub console: OwnedFd,
    /// Reading and writing end.
    pub go: (OwnedFd, OwnedFd),
    pub ready: (OwnedFd, OwnedFd),
    pub sidecar: Option<sidecar::Running>,
}

/// A first process that runs but is not ready yet.
struct Begun {
    process: Process,
    status: Option<oneshot::Receiver<i32>>,
    /// `None` if it was gone before it could be recorded.
    record: Option<Record>,
    go: OwnedFd,
    ready: pipe::Receiver,
    store: OwnedFd,
    log: Arc<Log>,
    drain: JoinHandle<()>,
    guard: Option<Guard>,
    /// For what comes before the user's program.
    patience: Duration,
}

impl Launch {
    pub(crate) fn new(inner: Arc<Inner>, spec: LaunchSpec) -> Self {
        Self { inner, spec, origin: Origin::Image, owner: None, phases: Phases::begin() }
    }

    /// A start from what a stopped sandbox left; of `spec` only what the host decides counts.
    pub(crate) fn again(inner: Arc<Inner>, spec: LaunchSpec, owner: Option<HandOver>) -> Self {
        Self { origin: Origin::Kept, owner, ..Self::new(inner, spec) }
    }

    /// Runs to the end. On failure, or once `given_up` is cancelled, everything made so far is removed.
    pub(crate) async fn run(mut self, given_up: CancellationToken) -> Result<LaunchReport, RuntimeError> {
        let (inner, spec, phases) = (self.inner.clone(), self.spec.clone(), self.phases);
        let (origin, owner) = (self.origin, self.owner.take());
        let (staged, phases) = blocking("prepare a sandbox", move || match origin {
            Origin::Image => stage(&inner.host, &spec, phases),
            Origin::Kept => again::stage(&inner.host, &spec, owner.as_ref(), phases),
        })
        .await?;
        self.phases = phases;
        fault::point("launch.staged");
        let directory = staged.directory.clone();
        let begun = if given_up.is_cancelled() { Err(abandoned()) } else { self.begin(staged).await };
        let result = match begun {
            Ok(begun) => self.await_ready(begun, &given_up).await,
            Err(error) => Err(error),
        };
        if result.is_err() {
            // Whatever still runs in the slot goes; the reservation stays with the caller.
            self.inner.host.cgroups.kill(self.spec.slot.number);
            if let Some(oci) = &self.inner.oci {
                oci.delete(&self.spec.id).await;
            }
            match self.origin {
                Origin::Image => {
                    self.inner.host.reaper.dispose(Some(self.spec.slot.number), Some(&directory));
                }
                Origin::Kept => {
                    let (inner, slot) = (self.inner.clone(), self.spec.slot.number);
                    blocking("clean up", move || inner.host.strip(slot)).await?;
                }
            }
        }
        result
    }

    /// Makes the first process and records it; it does not start before that.
    async fn begin(&mut self, staged: Staged) -> Result<Begun, RuntimeError> {
        let Staged { directory, document, plan, root, netns, userns, store, .. } = staged;
        let Staged { entrance, console, go, ready, sidecar, .. } = staged;
        let config = directory.join(DOCUMENT);
        // Opened while this side still holds the other end: what is in a pipe that nobody has open is lost.
        let log = self.inner.logs.open(&self.spec.id);
        let drain = console::drain(&directory, Arc::clone(&log)).context("open the console")?;
        let (process, status) = match &self.inner.oci {
            None => {
                let mut fds = vec![
                    root.as_fd(),
                    netns.as_fd(),
                    userns.as_fd(),
                    go.0.as_fd(),
                    ready.1.as_fd(),
                    console.as_fd(),
                ];
                let entrances = entrance.unified.iter().chain(&entrance.tasks);
                fds.extend(entrances.chain(&entrance.gauges).map(AsFd::as_fd));
                let host = &self.inner.host;
                let (cgroup2, gauges) = (entrance.unified.is_some(), entrance.gauges.len());
                let launched = match host.launcher.launch(&plan, cgroup2, gauges, &fds).await {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                        host.cgroups.kill_listed(self.spec.slot.number);
                        host.launcher.launch(&plan, cgroup2, gauges, &fds).await
                    }
                    other => other,
                };
                let launched = launched.context("launch")?;
                drop((root, console));
                (Process { pid: launched.pid, pidfd: Arc::new(launched.pidfd) }, Some(launched.status))
            }
            Some(oci) => {
                save(&document, &config)?;
                (oci.create(&self.spec.id, &directory, root, console, ready.1.as_fd()).await?, None)
            }
        };
        let trust = sidecar.as_ref().is_some_and(|running| running.intercepts);
        let patience = self.spec.pre_start + if trust { TRUST_TIMEOUT } else { Duration::ZERO };
        let guard = sidecar
            .map(|running| sidecar::guard(self.inner.clone(), self.spec.slot, &directory, netns, running));
        drop((userns, entrance, ready.1, go.0));
        self.phases.mark("clone");
        fault::point("launch.cloned");
        let (slot, oci, first) = (self.spec.slot.number, self.inner.oci.is_some(), process.clone());
        let layers = self.spec.layers.clone();
        let record = blocking("record a sandbox", move || {
            if !oci {
                save(&document, &config)?;
            }
            // A process that is gone already is found out about below, where its output is at hand.
            let Ok(process) = Identity::of(first.pid, first.pidfd.as_fd()) else { return Ok(None) };
            let record = Record { slot, process, oci, exit_code: None, layers };
            record.save(&directory).context("write the sandbox's record")?;
            Ok(Some(record))
        })
        .await?;
        self.phases.mark("record");
        fault::point("launch.on_record");
        let ready = pipe::Receiver::from_owned_fd(ready.0).context("open the ready pipe")?;
        Ok(Begun { process, status, record, go: go.1, ready, store, log, drain, guard, patience })
    }

    /// Lets the first process go and waits until it listens.
    async fn await_ready(
        &mut self,
        mut begun: Begun,
        given_up: &CancellationToken,
    ) -> Result<LaunchReport, RuntimeError> {
        match &self.inner.oci {
            Some(oci) => oci.start(&self.spec.id).await?,
            // A process that ended early does not take it; the ready pipe ends as well then.
            None => drop(fs::File::from(begun.go).write(b"g")),
        }
        let mut byte = [0];
        let patience = READY_TIMEOUT + begun.patience;
        let problem = tokio::select! {
            read = begun.ready.read(&mut byte) => match (read, begun.record.is_some()) {
                (Ok(1), true) => None,
                _ => Some("ended before it was ready".to_owned()),
            },
            () = given_up.cancelled() => {
                self.end(&begun.process).await;
                return Err(abandoned());
            }
            () = tokio::time::sleep(patience) => Some(format!("was not ready within {} s", patience.as_secs())),
        };
        self.phases.mark("ready");
        fault::point("launch.ready");
        let (None, Some(record)) = (&problem, begun.record) else {
            let status = match begun.status.take() {
                Some(status) => tokio::time::timeout(POST_MORTEM, status).await.ok().and_then(Result::ok),
                None => None,
            };
            self.end(&begun.process).await;
            // With the last process gone the pipe ends, and the tail is complete.
            let _ = tokio::time::timeout(POST_MORTEM, &mut begun.drain).await;
            begun.drain.abort();
            let problem = problem.unwrap_or_default();
            let code = status.map(|status| format!(" (exit code {})", exit_code(status))).unwrap_or_default();
            let log = begun.log;
            let printed = blocking("read the output", move || Ok(log.tail(QUOTED_OUTPUT))).await?;
            let output = explain(&printed);
            return Err(RuntimeError::StartFailed(format!(
                "the sandbox's first process {problem}{code}{output}"
            )));
        };
        let watch = watch::spawn(self.inner.clone(), &self.spec.id, &begun.process, begun.status, record);
        let live = Live {
            slot: self.spec.slot,
            process: begun.process,
            drain: begun.drain,
            watch,
            store: Some(begun.store),
            guard: begun.guard,
        };
        self.inner.live().insert(self.spec.id.clone(), live);
        Ok(std::mem::take(&mut self.phases.report))
    }

    /// Ends the process of a start that failed.
    async fn end(&self, process: &Process) {
        if let Err(stuck) = watch::kill(&self.inner.host, self.spec.slot.number, process).await {
            tracing::warn!(%stuck, id = self.spec.id, "a failed sandbox does not end");
        }
    }
}

fn abandoned() -> RuntimeError {
    RuntimeError::StartFailed("the start was given up".into())
}

pub(super) const DOCUMENT: &str = "config.json";

/// In one step: a later start reads it, also after the server died in the middle of an earlier one.
fn save(document: &Spec, path: &Path) -> Result<(), RuntimeError> {
    let bytes =
        serde_json::to_vec(document).map_err(io::Error::from).context("write the sandbox document")?;
    let fresh = path.with_extension("new");
    fs::write(&fresh, bytes).and_then(|()| fs::rename(&fresh, path)).context("write the sandbox document")
}

/// The output of a failed start, in a form to append to the error.
fn explain(output: &str) -> String {
    use super::launcher::child::FAILURE_PREFIX;
    let output = output.trim();
    let step = output.strip_prefix(FAILURE_PREFIX).and_then(|line| line.rsplit_once(": errno "));
    match step.and_then(|(what, errno)| Some((what, errno.parse().ok()?))) {
        Some((what, errno)) => format!(": {what}: {}", io::Error::from_raw_os_error(errno)),
        None if output.is_empty() => String::new(),
        None => format!(": {output}"),
    }
}

/// Takes or makes the slot's parts and fits them to the sandbox. Leaves nothing on failure.
fn stage(host: &Host, spec: &LaunchSpec, mut phases: Phases) -> Result<(Staged, Phases), RuntimeError> {
    phases.mark("queue");
    check(host, spec)?;
    let limits = host.limits(&spec.limits);
    let mut prepared = match host.slots.take_prepared(spec.slot.number) {
        Some(prepared) => prepared,
        None => host.prepare(spec.slot, limits.disk_bytes)?,
    };
    phases.mark("slot");
    let mut fit = || {
        if prepared.disk_bytes != limits.disk_bytes {
            host.resize(&mut prepared, limits.disk_bytes)?;
            phases.mark("disk");
        }
        let directory = host.paths.sandbox(&spec.id);
        fs::rename(&prepared.directory, &directory).context("create the sandbox's directory")?;
        prepared.directory = directory;
        rootfs::write_names(&prepared.store, &spec::hostname(&spec.id), spec.slot.address, &host.resolvers)
            .context("write names and resolvers")?;
        phases.mark("files");
        let sidecar = match &spec.sidecar {
            Some(order) => {
                let (netns, store) = (prepared.netns.as_fd(), prepared.store.as_fd());
                let running = sidecar::begin(host, spec.slot, &prepared.directory, netns, store, order)?;
                phases.mark("sidecar");
                Some(running)
            }
            None => None,
        };
        host.cgroups.limit(spec.slot.number, &limits).context("set limits")?;
        let entrance = host.cgroups.entrance(spec.slot.number).context("open cgroups")?;
        phases.mark("limits");
        let volumes = volume::open(&spec.volumes, &prepared.maps)?;
        let base = host.names.uid_base(spec.slot.number);
        let root = host
            .overlays
            .mount(
                &spec.layers,
                prepared.store.as_fd(),
                &prepared.maps,
                host.execd.as_fd(),
                volume::Mounts { volumes, base },
            )
            .context("mount the root file system")?;
        phases.mark("rootfs");
        Ok((entrance, root, sidecar))
    };
    let (entrance, root, sidecar) = match fit() {
        Ok(parts) => parts,
        Err(error) => {
            host.discard(prepared);
            return Err(error);
        }
    };
    let paperwork = describe(host, spec, &prepared, limits, &entrance.gauge_names);
    let (document, plan, go, ready) = match (paperwork, pipes().context("make pipes")) {
        (Ok((document, plan)), Ok((go, ready))) => (document, plan, go, ready),
        (Err(error), _) | (_, Err(error)) => {
            host.discard(prepared);
            return Err(error);
        }
    };
    phases.mark("document");
    let Prepared { directory, netns, console, maps, store, .. } = prepared;
    let userns = maps.processes;
    Ok((
        Staged {
            directory,
            document,
            plan,
            root,
            netns,
            userns,
            store,
            entrance,
            console,
            go,
            ready,
            sidecar,
        },
        phases,
    ))
}

/// The pipe that lets the first process go, and the one on which it says that it listens.
pub(super) fn pipes() -> io::Result<((OwnedFd, OwnedFd), (OwnedFd, OwnedFd))> {
    Ok((pipe_with(PipeFlags::CLOEXEC)?, pipe_with(PipeFlags::CLOEXEC)?))
}

fn describe(
    host: &Host,
    spec: &LaunchSpec,
    prepared: &Prepared,
    limits: crate::runtime::Limits,
    gauges: &[&str],
) -> Result<(Spec, Plan), RuntimeError> {
    let base = host.names.uid_base(spec.slot.number);
    let join = (!host.config.oci_runtime.is_empty()).then(|| {
        let netns = format!("/proc/{}/fd/{}", std::process::id(), prepared.netns.as_raw_fd());
        Join { netns, uid_base: base }
    });
    let described = spec::Host {
        no_new_privileges: host.config.no_new_privileges,
        limits,
        cgroup: &host.cgroups.relative_path(spec.slot.number),
        gauges,
        root: Path::new(ROOT_POINT),
        join,
    };
    let document = spec::build(spec, &described)?;
    let plan = Plan::from_spec(&document, base, &host.paths.mount_point())
        .map_err(|error| RuntimeError::Invalid(error.to_string()))?;
    Ok((document, plan))
}

/// What can be refused before anything is made.
fn check(host: &Host, spec: &LaunchSpec) -> Result<(), RuntimeError> {
    if spec.layers.is_empty() {
        return Err(RuntimeError::Invalid("the image has no layers".into()));
    }
    if !spec.cwd.starts_with('/') {
        return Err(RuntimeError::Invalid(format!(
            "working directory {:?} is not an absolute path",
            spec.cwd
        )));
    }
    if let Some((name, _)) = spec.env.iter().find(|(name, _)| name.is_empty() || name.contains('=')) {
        return Err(RuntimeError::Invalid(format!(
            "environment variable name {name:?} is empty or contains '='"
        )));
    }
    if let Some(bytes) = spec.limits.disk_bytes.filter(|bytes| *bytes < disk::MIN_BYTES) {
        return Err(RuntimeError::Invalid(format!("disk limit {bytes} is below {} bytes", disk::MIN_BYTES)));
    }
    disk::check_size(&host.paths.root, spec.limits.disk_bytes)?;
    if host.slots.is_draining(spec.slot.number) {
        return Err(RuntimeError::Exhausted(format!("slot {} is still being cleaned", spec.slot.number)));
    }
    disk::check_watermark(&host.paths.root, host.config.watermark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_steps_read_like_errors() {
        assert_eq!(explain("sandkeep: mount: errno 1\n"), ": mount: Operation not permitted (os error 1)");
        assert_eq!(explain("boom\n"), ": boom");
        assert_eq!(explain(""), "");
    }
}
