//! Stopping a sandbox so that its files last, and starting it again from them.
//!
//! A stopped sandbox has its directory (private layer, document, record), its slot and its image; nothing else of it is
//! on the host. Everything a start needs is read from that directory, so that it works under any later server.

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd},
    sync::Arc,
};

use oci_spec::runtime::{LinuxNamespaceType, Spec};

use super::{
    criu::{self, Memory, Saved},
    freezer,
    host::{Context, Host},
    launch::{DOCUMENT, Phases, Staged, pipes},
    launcher::plan::Plan,
    runtime::{Inner, blocking},
    sidecar,
    slots::Prepared,
    spec,
    state::Record,
    volume,
    watch::{self, Process},
};
use crate::runtime::{HandOver, Keep, LaunchSpec, RuntimeError};

/// Ends every process of a sandbox and lets go of all but its files and, where that is to be kept, its memory. A sandbox
/// without processes is fine. Says whether there is memory to start from.
pub(crate) async fn stop(inner: &Arc<Inner>, id: &str, keep: Keep) -> Result<bool, RuntimeError> {
    let Some(slot) = inner.host.slots.slot_of(id) else { return Err(RuntimeError::NotFound(id.to_owned())) };
    record(&inner.host, id)?;
    let memory = Memory::of(&inner.host.paths.sandbox(id));
    let running = inner.live().get(id).map(|live| live.process.clone());
    // One that was killed already and that nobody has reaped yet has nothing to save.
    let running = running.filter(|process| !watch::has_ended(&*process.pidfd));
    let wanted = match keep {
        Keep::Files => false,
        Keep::Memory => true,
        Keep::AsBegun => memory.is_begun(),
    };
    if running.is_none() {
        // A start that a server was killed in may have taken it already.
        memory.give_back();
    }
    // Processes that are gone have left their memory whole, or have none.
    let saved = match &running {
        Some(process) if wanted => Some(save(inner, id, slot.number, process).await?),
        _ => None,
    };
    if running.is_some() && !wanted {
        memory.clear().context("remove a memory of before")?;
    }
    let live = inner.live().remove(id);
    let mut store = None;
    if let Some(live) = live {
        let mut live = watch::end(inner, id, live).await?;
        live.end_sidecar(&inner.host);
        live.drain.abort();
        store = live.store;
    }
    if let Some(saved) = saved {
        saved.end();
    }
    if let Some(oci) = &inner.oci {
        oci.delete(id).await;
    }
    let (inner, directory) = (inner.clone(), inner.host.paths.sandbox(id));
    blocking("stop a sandbox", move || {
        // The one waits for the kernel, the other for the disk: neither has to wait for the other.
        std::thread::scope(|scope| {
            let stripped = scope.spawn(|| inner.host.strip(slot.number));
            // Closing the last hold on a file system unmounts it, which takes its time.
            drop(store);
            let settled = inner.host.disks.settle(&directory).context("write a sandbox's disk down");
            let died = |_| Err(io::Error::other("its thread died")).context("stop a sandbox");
            stripped.join().unwrap_or_else(died).and(settled)
        })
    })
    .await?;
    Ok(memory.is_whole())
}

/// A sandbox that stands still can only be saved once it moves, and stands still again if that fails.
async fn save(inner: &Arc<Inner>, id: &str, slot: u16, process: &Process) -> Result<Saved, RuntimeError> {
    let frozen = freezer::is_frozen(&inner.host.cgroups, slot);
    if frozen {
        freezer::thaw(&inner.host.cgroups, slot).context("thaw a sandbox")?;
    }
    let saved = criu::save(inner, id, slot, process).await;
    if saved.is_err() && frozen {
        freezer::freeze(&inner.host.cgroups, slot).context("freeze a sandbox")?;
    }
    saved
}

/// The record of a sandbox, if that is enough to start it again.
pub(super) fn record(host: &Host, id: &str) -> Result<Record, RuntimeError> {
    let record =
        Record::load(&host.paths.sandbox(id)).ok_or_else(|| RuntimeError::NotFound(id.to_owned()))?;
    if record.layers.is_empty() {
        let text = format!("sandbox {id} was started by an older server, which did not note its layers");
        return Err(RuntimeError::Invalid(text));
    }
    Ok(record)
}

/// Everything for the first process of a sandbox that was stopped. Leaves it as stopped on failure.
pub(super) fn stage(
    host: &Host,
    spec: &LaunchSpec,
    owner: Option<&HandOver>,
    mut phases: Phases,
) -> Result<(Staged, Phases), RuntimeError> {
    phases.mark("queue");
    let directory = host.paths.sandbox(&spec.id);
    let document = fs::read(directory.join(DOCUMENT)).context("read the sandbox document")?;
    let mut document: Spec =
        serde_json::from_slice(&document).map_err(io::Error::from).context("read the sandbox document")?;
    if let Some(owner) = owner {
        spec::give(&mut document, owner);
    }
    let prepared = host.revive(spec.slot, &directory)?;
    phases.mark("slot");
    let staged = assemble(host, spec, prepared, document);
    if staged.is_err() {
        // What was made is closed by now.
        let _ = host.strip(spec.slot.number);
    }
    phases.mark("rootfs");
    Ok((staged?, phases))
}

fn assemble(
    host: &Host,
    spec: &LaunchSpec,
    prepared: Prepared,
    mut document: Spec,
) -> Result<Staged, RuntimeError> {
    host.cgroups.limit(spec.slot.number, &host.limits(&spec.limits)).context("set limits")?;
    let entrance = host.cgroups.entrance(spec.slot.number).context("open cgroups")?;
    let sidecar =
        sidecar::go_on(host, spec.slot, &prepared.directory, prepared.netns.as_fd(), prepared.store.as_fd())?;
    let base = host.names.uid_base(spec.slot.number);
    let volumes = volume::Mounts { volumes: volume::open(&spec.volumes, &prepared.maps)?, base };
    let root = host
        .overlays
        .mount(&spec.layers, prepared.store.as_fd(), &prepared.maps, host.execd.as_fd(), volumes)
        .context("mount the root file system")?;
    if !host.config.oci_runtime.is_empty() {
        join(&mut document, &prepared);
    }
    let plan = Plan::from_spec(&document, base, &host.paths.mount_point())
        .map_err(|error| RuntimeError::Invalid(error.to_string()))?;
    let (go, ready) = pipes().context("make pipes")?;
    let Prepared { directory, netns, console, maps, store, .. } = prepared;
    let userns = maps.processes;
    Ok(Staged {
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
    })
}

/// An OCI runtime finds the network by a path, which is another one each time.
fn join(document: &mut Spec, prepared: &Prepared) {
    let path = format!("/proc/{}/fd/{}", std::process::id(), prepared.netns.as_raw_fd());
    let linux = document.linux_mut().as_mut();
    let namespaces = linux.and_then(|linux| linux.namespaces_mut().as_mut());
    for namespace in namespaces.into_iter().flatten() {
        if namespace.typ() == LinuxNamespaceType::Network {
            namespace.set_path(Some(path.clone().into()));
        }
    }
}
