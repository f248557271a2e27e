//! Saving the memory of a sandbox that runs.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            fs::{FileTypeExt, MetadataExt},
            net::UnixStream,
        },
    },
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::{Signal, pidfd_send_signal};

use super::{
    Found, Tool,
    images::{Memory, Note, Outside},
    session::{LOG, Said, Session, complaint},
};
use crate::{
    fault,
    runtime::{
        RuntimeError,
        native::{
            disk,
            host::{Context, Host},
            launcher::child::READY_FD,
            runtime::{Inner, blocking},
            state::boot_id,
            watch::Process,
        },
    },
};

/// How long saving may take: some gigabytes of memory on a slow disk.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long another process may take to give CRIU the sandbox's root directory.
const ROOT_PATIENCE: Duration = Duration::from_secs(10);
const SETTLE_PATIENCE: Duration = Duration::from_secs(10);
const SETTLE_PAUSE: Duration = Duration::from_millis(5);
/// CRIU's last word before the processes would go on.
const SAVED: &str = "post-dump";

/// A sandbox whose memory is on disk and whose processes stand still: until this is dropped, when they go on.
pub(crate) struct Saved {
    _session: Session,
    criu: OwnedFd,
}

impl Saved {
    /// The processes are gone. CRIU has nothing left to do but to let go of the sandbox's files.
    pub(crate) fn end(self) {
        let _ = pidfd_send_signal(&self.criu, Signal::KILL);
    }
}

/// Saves the memory of a sandbox that is not frozen. After an error it goes on as before.
pub(crate) async fn save(
    inner: &Arc<Inner>,
    id: &str,
    slot: u16,
    process: &Process,
) -> Result<Saved, RuntimeError> {
    let Found::Tool(tool) = inner.criu.found().await else {
        return Err(RuntimeError::NotSaved("this host has no CRIU that works".to_owned()));
    };
    let directory = inner.host.paths.sandbox(id);
    let pid = process.pid;
    blocking("wait for another CRIU", move || {
        settle(pid);
        Ok(())
    })
    .await?;
    let (root, watermark) = (inner.host.paths.root.clone(), inner.host.config.watermark);
    let needed = inner.host.cgroups.own_memory(slot);
    disk::check_memory(&root, watermark, needed)
        .map_err(|error| RuntimeError::NotSaved(error.to_string()))?;
    let outside = outside(&inner.host, slot, process.pid, &directory)?;
    let memory = Memory::of(&directory);
    memory.begin().context("make room for the memory")?;
    let images = File::open(&memory.new).context("make room for the memory")?;
    let (session, theirs) = Session::new(PATIENCE).context("talk to CRIU")?;
    let (control, far) = UnixStream::pair().context("talk to CRIU")?;
    let launched = launch(inner, tool, process, &images, theirs, far).await?;
    let owner = inner.host.names.uid_base(slot);
    let done = blocking("save a sandbox", move || {
        let saved = order(&session, &control, &outside).and_then(|()| {
            fault::point("stop.saved");
            memory.finish(&Note { boot_id: boot_id()?, outside }, owner)?;
            fault::point("stop.kept");
            Ok(())
        });
        let Err(error) = saved else { return Ok(session) };
        let log = fs::read_to_string(memory.new.join(LOG)).unwrap_or_default();
        let text = complaint(&log).unwrap_or_else(|| error.to_string());
        // Then the log tells nothing either.
        let text = if disk::is_full(&root) { format!("the state disk is full ({text})") } else { text };
        let _ = memory.clear();
        Err(RuntimeError::NotSaved(text))
    })
    .await;
    match done {
        Ok(session) => Ok(Saved { _session: session, criu: launched.pidfd }),
        Err(error) => {
            // It has nothing to say any more; one that hangs must not hold the sandbox's processes.
            let ended = tokio::time::timeout(ROOT_PATIENCE, launched.status).await;
            if ended.is_err() {
                let _ = pidfd_send_signal(&launched.pidfd, Signal::KILL);
            }
            Err(error)
        }
    }
}

async fn launch(
    inner: &Inner,
    tool: &Tool,
    process: &Process,
    images: &File,
    theirs: OwnedFd,
    far: UnixStream,
) -> Result<crate::runtime::native::launcher::Launched, RuntimeError> {
    let tree = tool.tree().context("open CRIU's directory")?;
    let fds = [
        process.pidfd.as_fd(),
        far.as_fd(),
        theirs.as_fd(),
        images.as_fd(),
        tool.save_cache.as_fd(),
        tree.as_fd(),
    ];
    inner.host.launcher.save(&fds).await.context("start CRIU")
}

fn order(session: &Session, control: &UnixStream, outside: &[(String, Outside)]) -> io::Result<()> {
    session.await_loaded()?;
    change_root(control)?;
    session.dump(outside.iter().map(|(name, _)| name.as_str()))?;
    loop {
        match session.listen()? {
            Said::Reached { point, .. } if point == SAVED => return Ok(()),
            Said::Reached { .. } => session.go_on()?,
            Said::Done { .. } => return Err(io::Error::other("CRIU could not save it")),
        }
    }
}

/// Has the process beside CRIU give it the sandbox's root directory.
pub(super) fn change_root(mut control: &UnixStream) -> io::Result<()> {
    control.set_read_timeout(Some(ROOT_PATIENCE))?;
    control.write_all(b"r")?;
    control.read_exact(&mut [0])
}

/// Waits until a CRIU whose server was killed has let the sandbox go.
fn settle(pid: i32) {
    let since = Instant::now();
    let traced = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|tracer| tracer.trim() != "0"))
    };
    while traced() && since.elapsed() < SETTLE_PATIENCE {
        std::thread::sleep(SETTLE_PAUSE);
    }
}

/// What the first process has open outside the sandbox, by the names CRIU gives it: others have nothing but that.
fn outside(
    host: &Host,
    slot: u16,
    pid: i32,
    directory: &Path,
) -> Result<Vec<(String, Outside)>, RuntimeError> {
    let shared = fs::read_dir(format!("/proc/{pid}/root/dev/shm")).context("look into /dev/shm")?;
    if let Some(file) = shared.flatten().next() {
        let name = file.file_name().to_string_lossy().into_owned();
        return Err(RuntimeError::NotSaved(format!("/dev/shm/{name} would be lost")));
    }
    let gauges = host.cgroups.entrance(slot).context("open cgroups")?.gauges;
    let console = fs::metadata(directory.join("console")).context("look at the console")?;
    list(pid, console.ino(), gauges.len()).context("look at open files")
}

fn list(pid: i32, console: u64, gauges: usize) -> io::Result<Vec<(String, Outside)>> {
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
    let inside: Vec<&str> = mounts.lines().filter_map(|line| line.split(' ').next()).collect();
    let mut found: Vec<(String, Outside)> = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Closed meanwhile, or no file.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let (Ok(file), true) = (fs::metadata(entry.path()), target.is_absolute()) else { continue };
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{name}")).unwrap_or_default();
        let Some(mount) = info.lines().find_map(|line| line.strip_prefix("mnt_id:")).map(str::trim) else {
            continue;
        };
        if inside.contains(&mount) {
            continue;
        }
        let number = name.parse::<usize>().ok().and_then(|number| number.checked_sub(READY_FD as usize + 1));
        let what = match number {
            _ if file.ino() == console && file.file_type().is_fifo() => Outside::Console,
            _ if file.file_type().is_char_device() => Outside::Null,
            Some(number) if number < gauges => Outside::Gauge(number),
            _ => {
                let text = format!("descriptor {name} of the first process lies outside the sandbox");
                return Err(io::Error::other(text));
            }
        };
        let mount: u64 = mount.parse().map_err(io::Error::other)?;
        let name = format!("file[{mount:x}:{:x}]", file.ino());
        if !found.iter().any(|(known, _)| *known == name) {
            found.push((name, what));
        }
    }
    Ok(found)
}
