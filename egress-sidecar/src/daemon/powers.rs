//! What this process may do: as much as it needs, and not more than that once it talks to strangers.

use std::io;

use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs},
};

/// Rules, marks and sizes of sockets; the port of the API; memory that is not swapped out; files of whoever starts this,
/// which need not be root's.
const NEEDED: CapabilitySet = CapabilitySet::NET_ADMIN
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::IPC_LOCK)
    .union(CapabilitySet::DAC_OVERRIDE);

/// Gives up all other powers for good. Called while there is only this thread, so all later ones have no more either.
///
/// # Errors
/// If the kernel refuses.
pub(super) fn give_up() -> io::Result<()> {
    let kept = capabilities(None)?.permitted & NEEDED;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: none })?;
    Ok(set_no_new_privs(true)?)
}

/// Has as many descriptors as it may: an intercepted connection takes three.
///
/// # Errors
/// If the kernel refuses.
pub(super) fn many_descriptors() -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
