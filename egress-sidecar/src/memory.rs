//! Memory hygiene: what is given back is overwritten, and nobody may look into this process.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    ffi::c_void,
    fs, io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CapabilitySet, capabilities},
    time::{ClockId, clock_gettime},
};
use tokio::time::{MissedTickBehavior, interval, sleep};

/// The system's allocator, which overwrites what it is given back.
///
/// A secret passes through many buffers on its way: of the API's connection, the JSON reader, headers, TLS. None of them
/// knows what it holds, so all are cleared.
///
/// It counts what is in use as well.
pub struct Scrubbing;

/// Blocks from this size on are counted. They are nearly all that connections hold, and a small part of what is asked for.
const COUNTED: usize = 512;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// Bytes in use, but for those of small blocks.
#[must_use]
pub fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}

// SAFETY: everything is passed on to the system's allocator under the same contract; what is overwritten before is
// memory that the caller has given back.
unsafe impl GlobalAlloc for Scrubbing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        taken(unsafe { System.alloc(layout) }, layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        taken(unsafe { System.alloc_zeroed(layout) }, layout)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller owns these bytes and gives them up; a plain write could be left out as nobody reads it.
        unsafe {
            libc::explicit_bzero(pointer.cast::<c_void>(), layout.size());
            System.dealloc(pointer, layout);
        }
        if layout.size() >= COUNTED {
            HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The system may move a block and leave its bytes behind, so every new size is a new block.
        // SAFETY: the caller promises that the size, rounded up to the alignment, is acceptable.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: both blocks have at least so many bytes, and a new block does not overlap an old one.
            unsafe {
                std::ptr::copy_nonoverlapping(pointer, new, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
        }
        new
    }
}

/// Counts a block, if there is one.
fn taken(block: *mut u8, layout: Layout) -> *mut u8 {
    if layout.size() >= COUNTED && !block.is_null() {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
    }
    block
}

/// Heaps of the system's allocator: every thread would get one of its own, and keep what it was once filled with.
const HEAPS: libc::c_int = 2;

/// Has all threads share few heaps. Called while there is only one.
pub fn stay_small() {
    // SAFETY: sets a number of the allocator. Nothing depends on whether it was accepted.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, HEAPS) };
}

/// How often it is looked whether work has ended.
const LOOK: Duration = Duration::from_secs(5);
/// Less of a processor's time between two looks is no work.
const REST: Duration = Duration::from_millis(20);
/// Pages more than were left the last time, from which on it is worth it: 1 MiB of small ones.
const WORTH: usize = 256;

/// By then a sidecar has started.
const START: Duration = Duration::from_millis(500);

/// Gives back what the start needed, and later what work needed, whenever some is over: heaps keep what they once held, and
/// pages of code that were read stay. Never returns.
pub async fn release_after_work() {
    sleep(START).await;
    release();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks.tick().await;
    let (mut seen, mut left) = (used(), 0);
    loop {
        looks.tick().await;
        if used().saturating_sub(seen) < REST && resident().is_some_and(|pages| pages > left + WORTH) {
            release();
            left = resident().unwrap_or_default();
        }
        seen = used();
    }
}

/// What connections leave behind when they end is given back from this size on, so that others do not come on top of it.
/// Less is not worth the time.
const LEFT: usize = 2 << 20;

/// Gives back memory if much less is held than `most`, the most that was since this last happened; returns what is the most
/// from then on.
#[must_use]
pub fn release_if_left(most: usize) -> usize {
    let held = held();
    if held.saturating_add(LEFT) > most {
        return most.max(held);
    }
    release();
    held
}

/// Whether what this process writes is kept in memory; held while that changes.
static LOCKED: Mutex<bool> = Mutex::new(false);

/// Keeps all that this process has written, and all it will write, out of swap. Code may still be read anew.
///
/// # Errors
/// If the kernel refuses, or would refuse more memory later on.
pub fn lock() -> io::Result<()> {
    let mut locked = LOCKED.lock().unwrap_or_else(PoisonError::into_inner);
    let may = capabilities(None)?.effective.contains(CapabilitySet::IPC_LOCK);
    if !may && getrlimit(Resource::Memlock).current.is_some() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    lock_pages()?;
    *locked = true;
    Ok(())
}

fn lock_pages() -> io::Result<()> {
    // SAFETY: changes where pages may be kept, and nothing in them.
    if unsafe { libc::mlockall(libc::MCL_FUTURE | libc::MCL_ONFAULT) } != 0 {
        return Err(io::Error::last_os_error());
    }
    for (start, end) in fs::read_to_string("/proc/self/maps")?.lines().filter_map(written) {
        // SAFETY: as above; a range that is no longer there is an error.
        if unsafe { libc::mlock2(start as *const c_void, end - start, libc::MLOCK_ONFAULT) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// The range of a line of `/proc/self/maps` if this process alone reads and writes there.
fn written(line: &str) -> Option<(usize, usize)> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-').filter(|_| rest.starts_with("rw-p"))?;
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

/// Gives back memory nobody needs. What is kept in memory cannot be given back, so that pauses for a moment.
pub fn release() {
    let locked = LOCKED.lock().unwrap_or_else(PoisonError::into_inner);
    if *locked {
        // SAFETY: changes where pages may be kept, and nothing in them.
        unsafe { libc::munlockall() };
    }
    sandkeep_idle::release();
    if *locked && let Err(error) = lock_pages() {
        tracing::warn!(%error, "secrets may be swapped out");
    }
}

/// Processor time of this process.
#[must_use]
pub fn used() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Pages of memory this process holds.
fn resident() -> Option<usize> {
    fs::read_to_string("/proc/self/statm").ok()?.split_whitespace().nth(1)?.parse().ok()
}

/// Bytes of memory this process holds, shared ones included; `None` if the kernel does not say.
#[must_use]
pub fn resident_bytes() -> Option<usize> {
    Some(resident()? * rustix::param::page_size())
}

/// Keeps others out of this process's memory: no core dumps, and no debugger but root's.
///
/// # Errors
/// If the kernel refuses.
pub fn close() -> io::Result<()> {
    // SAFETY: sets an attribute of this process; reads and writes no memory.
    let result = unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    Ok(setrlimit(Resource::Core, none)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_when_much_is_left() {
        // Nothing is counted here, as tests have the system's own allocator.
        for (most, now) in [(0, 0), (LEFT - 1, LEFT - 1), (LEFT, 0), (usize::MAX, 0)] {
            assert_eq!(release_if_left(most), now, "{most}");
        }
    }

    #[test]
    fn only_what_is_written_by_this_process_alone_is_kept() {
        for (line, range) in [
            ("7f00-8000 rw-p 00000000 00:00 0 [heap]", Some((0x7f00, 0x8000))),
            ("7f00-8000 rw-p 00001000 08:01 12 /bin/x", Some((0x7f00, 0x8000))),
            ("7f00-8000 r-xp 00000000 08:01 12 /bin/x", None),
            ("7f00-8000 rw-s 00000000 00:00 0", None),
            ("", None),
        ] {
            assert_eq!(written(line), range, "{line}");
        }
    }
}
