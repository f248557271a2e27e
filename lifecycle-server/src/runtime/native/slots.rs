//! Which slot belongs to which sandbox, and the slots prepared ahead.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::Ipv4Addr,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{names::Names, rootfs::IdMaps};
use crate::runtime::{RuntimeError, Slot};

/// Everything of a sandbox that can be made before the sandbox is asked for.
pub(crate) struct Prepared {
    pub slot: Slot,
    /// Becomes the sandbox's directory.
    pub directory: PathBuf,
    pub netns: OwnedFd,
    pub maps: IdMaps,
    /// Place of the private layer.
    pub store: OwnedFd,
    /// The sandbox's end of its console.
    pub console: OwnedFd,
    /// Its limit in bytes.
    pub disk_bytes: Option<u64>,
}

/// Slot bookkeeping; nothing here touches the host.
pub(crate) struct Slots {
    names: Names,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Slots of sandboxes, reserved or running.
    by_id: HashMap<String, Slot>,
    /// Numbers that must not be given out: in use, prepared, or still being cleaned.
    busy: HashSet<u16>,
    /// Busy numbers whose leftovers the reaper has yet to remove.
    draining: HashSet<u16>,
    /// Addresses other programs route to.
    foreign: HashSet<Ipv4Addr>,
    /// Where the search for a free number goes on: numbers rest as long as possible before they are used again.
    next: u32,
    prepared: VecDeque<Prepared>,
    /// No more slots are prepared.
    closed: bool,
    /// Prepared slots that are reserved.
    assigned: HashMap<u16, Prepared>,
}

impl State {
    fn fresh(&mut self, names: &Names) -> Option<Slot> {
        for _ in 0..names.capacity {
            let slot = names.slot(self.next);
            self.next = (self.next + 1) % u32::from(names.capacity);
            if !self.foreign.contains(&slot.address) && self.busy.insert(slot.number) {
                return Some(slot);
            }
        }
        None
    }
}

impl Slots {
    pub(crate) fn new(names: Names) -> Self {
        Self { names, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reserve(&self, id: &str) -> Result<Slot, RuntimeError> {
        let mut state = self.lock();
        if let Some(slot) = state.by_id.get(id) {
            return Ok(*slot);
        }
        let slot = match state.prepared.pop_front() {
            Some(prepared) => {
                let slot = prepared.slot;
                state.assigned.insert(slot.number, prepared);
                slot
            }
            None => state.fresh(&self.names).ok_or_else(|| {
                RuntimeError::Exhausted(format!("all {} sandbox addresses are in use", self.names.capacity))
            })?,
        };
        state.by_id.insert(id.to_owned(), slot);
        Ok(slot)
    }

    /// Gives up a reservation; what was prepared for it serves the next one.
    pub(crate) fn release(&self, id: &str) {
        let mut state = self.lock();
        let Some(slot) = state.by_id.remove(id) else { return };
        match state.assigned.remove(&slot.number) {
            Some(prepared) => state.prepared.push_front(prepared),
            None if state.draining.contains(&slot.number) => {}
            None => {
                state.busy.remove(&slot.number);
            }
        }
    }

    /// Ends an id's claim on its slot; the number stays busy until [`Slots::free`].
    pub(crate) fn forget(&self, id: &str) -> Option<Slot> {
        self.lock().by_id.remove(id)
    }

    pub(crate) fn slot_of(&self, id: &str) -> Option<Slot> {
        self.lock().by_id.get(id).copied()
    }

    /// Marks a number whose leftovers are on their way to the reaper.
    pub(crate) fn drain(&self, number: u16) {
        let mut state = self.lock();
        state.busy.insert(number);
        state.draining.insert(number);
    }

    pub(crate) fn is_draining(&self, number: u16) -> bool {
        self.lock().draining.contains(&number)
    }

    /// A number nothing of the host carries any more, unless a sandbox still holds it.
    pub(crate) fn free(&self, number: u16) {
        let mut state = self.lock();
        state.draining.remove(&number);
        if !state.by_id.values().any(|slot| slot.number == number) {
            state.busy.remove(&number);
        }
    }

    /// Records a slot found in use.
    pub(crate) fn occupy(&self, id: &str, slot: Slot) {
        let mut state = self.lock();
        state.busy.insert(slot.number);
        state.by_id.insert(id.to_owned(), slot);
    }

    /// No sandbox holds a slot.
    pub(crate) fn is_idle(&self) -> bool {
        self.lock().by_id.is_empty()
    }

    pub(crate) fn avoid(&self, foreign: impl IntoIterator<Item = Ipv4Addr>) {
        self.lock().foreign.extend(foreign);
    }

    /// What was prepared for a slot, if anything.
    pub(crate) fn take_prepared(&self, number: u16) -> Option<Prepared> {
        self.lock().assigned.remove(&number)
    }

    /// A number to prepare, while fewer than `wanted` are ready.
    pub(crate) fn wants_preparing(&self, wanted: usize) -> Option<Slot> {
        let mut state = self.lock();
        if state.closed || state.prepared.len() >= wanted {
            return None;
        }
        state.fresh(&self.names)
    }

    /// Takes a prepared slot in, or gives it back if the server is ending.
    pub(crate) fn add_prepared(&self, prepared: Prepared) -> Result<(), Prepared> {
        let mut state = self.lock();
        if state.closed {
            return Err(prepared);
        }
        state.prepared.push_back(prepared);
        Ok(())
    }

    /// Hands over everything prepared, for the end of the server.
    pub(crate) fn close(&self) -> Vec<Prepared> {
        let mut state = self.lock();
        state.closed = true;
        let mut all: Vec<Prepared> = state.prepared.drain(..).collect();
        all.extend(state.assigned.drain().map(|(_, prepared)| prepared));
        all
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::runtime::native::NativeConfig;

    fn slots(subnet: &str) -> Slots {
        Slots::new(Names::new(&NativeConfig::default(), subnet.parse().unwrap(), Path::new("/x")))
    }

    #[test]
    fn a_slot_is_given_out_once_and_the_last_one_is_an_error() {
        let slots = slots("10.0.0.0/30");
        let first = slots.reserve("a").unwrap();
        assert_eq!(slots.reserve("a").unwrap(), first);
        assert!(matches!(slots.reserve("b"), Err(RuntimeError::Exhausted(_))));
        slots.release("a");
        assert_eq!(slots.reserve("b").unwrap(), first);
    }

    #[test]
    fn a_number_rests_until_it_is_clean() {
        let slots = slots("10.0.0.0/30");
        let slot = slots.reserve("a").unwrap();
        assert_eq!(slots.forget("a"), Some(slot));
        assert!(slots.reserve("b").is_err());
        slots.drain(slot.number);
        assert!(slots.is_draining(slot.number));
        slots.free(slot.number);
        assert!(slots.reserve("b").is_ok());
        slots.free(slot.number);
        assert!(slots.reserve("c").is_err(), "a late free must not touch the new holder");
    }

    #[test]
    fn foreign_addresses_are_avoided() {
        let slots = slots("10.0.0.0/29");
        slots.avoid([Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3)]);
        let mut given: Vec<_> = (0..3).map(|n| slots.reserve(&n.to_string()).unwrap().number).collect();
        given.sort_unstable();
        assert_eq!(given, [4, 5, 6]);
        assert!(slots.reserve("x").is_err());
    }

    #[test]
    fn adopted_slots_are_taken() {
        let slots = slots("10.0.0.0/30");
        slots.occupy("a", Slot { number: 2, address: Ipv4Addr::new(10, 0, 0, 2) });
        slots.occupy("b", Slot { number: 3, address: Ipv4Addr::new(10, 0, 0, 3) });
        assert!(slots.reserve("c").is_err());
    }
}
