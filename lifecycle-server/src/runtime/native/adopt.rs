//! After a restart: which sandboxes live on, and what is left of those that do not.

use std::{collections::HashSet, fs, os::fd::OwnedFd, sync::Arc};

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::{
    console, criu,
    host::Context,
    net,
    overlay::TRIAL_PREFIX,
    runtime::Inner,
    sidecar,
    state::Record,
    watch::{self, Live, Process},
};
use crate::runtime::{Found, RuntimeError};

/// A sandbox on record, with its first process if that lives.
pub(crate) struct Survivor {
    id: String,
    record: Record,
    pidfd: Option<OwnedFd>,
}

/// Looks through the state directory and the host; everything of ours that belongs to no recorded sandbox goes.
pub(crate) fn survey(inner: &Inner) -> Result<Vec<Survivor>, RuntimeError> {
    let host = &inner.host;
    host.reaper.resume().context("read the trash")?;
    let mut survivors = Vec::new();
    for entry in fs::read_dir(host.paths.sandboxes()).context("read the sandboxes' directory")? {
        let entry = entry.context("read the sandboxes' directory")?;
        let id = entry.file_name().to_string_lossy().into_owned();
        match Record::load(&entry.path()) {
            Some(record) => survivors.push(Survivor { pidfd: record.process.find(), id, record }),
            None => {
                tracing::info!(id, "removing a sandbox that was never started");
                host.reaper.dispose(None, Some(&entry.path()));
            }
        }
    }
    for entry in fs::read_dir(host.paths.slots()).context("read the slots' directory")?.flatten() {
        host.reaper.dispose(None, Some(&entry.path()));
    }
    // A preflight check that was cut short.
    for entry in fs::read_dir(&host.paths.root).context("read the state directory")?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(TRIAL_PREFIX) {
            host.reaper.dispose(None, Some(&entry.path()));
        }
    }
    if let Some(oci) = &inner.oci {
        oci.delete_all_but(|id| survivors.iter().any(|survivor| survivor.id == id));
    }
    let recorded: HashSet<u16> = survivors.iter().map(|survivor| survivor.record.slot).collect();
    let census = net::census(&host.names).context("list interfaces and routes")?;
    let present: HashSet<u16> = host.cgroups.present().into_iter().chain(census.ours).collect();
    for slot in present.difference(&recorded) {
        host.cgroups.kill(*slot);
        host.reaper.dispose(Some(*slot), None);
    }
    host.slots.avoid(census.foreign);
    Ok(survivors)
}

/// Takes the survivors into care.
pub(crate) fn take_over(inner: &Arc<Inner>, survivors: Vec<Survivor>) -> Result<Vec<Found>, RuntimeError> {
    let mut found = Vec::with_capacity(survivors.len());
    for Survivor { id, record, pidfd } in survivors {
        let slot = inner.host.names.numbered(record.slot);
        inner.host.slots.occupy(&id, slot);
        let went_on = pidfd.is_some() && criu::Memory::of(&inner.host.paths.sandbox(&id)).is_used();
        // A process that was being restored when the server ended may have come to nothing.
        let pidfd = if went_on {
            criu::settle(record.process.pid);
            record.process.find().filter(|pidfd| !watch::has_ended(pidfd))
        } else {
            pidfd
        };
        let alive = pidfd.is_some();
        found.push(Found { id: id.clone(), slot, alive, went_on, exit_code: record.exit_code });
        let Some(pidfd) = pidfd else { continue };
        let process = Process { pid: record.process.pid, pidfd: Arc::new(pidfd) };
        let store = root_of(process.pid);
        let log = inner.logs.open(&id);
        let drain = console::drain(&inner.host.paths.sandbox(&id), log).context("open a console")?;
        let guard = sidecar::adopt(inner, slot, &inner.host.paths.sandbox(&id), process.pid)?;
        let watch = watch::spawn(inner.clone(), &id, &process, None, record);
        inner.live().insert(id, Live { slot, process, drain, watch, store, guard });
    }
    Ok(found)
}

/// A hold on a sandbox's root file system, and through it on its disk (see [`Live::store`]).
fn root_of(pid: i32) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, format!("/proc/{pid}/root"), flags, Mode::empty()).ok()
}
