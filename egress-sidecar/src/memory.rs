//! Memory hygiene: what is given back is overwritten, and nobody may look into this process.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    ffi::c_void,
    fs, io,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{MissedTickBehavior, interval};

/// The system's allocator, which overwrites what it is given back.
///
/// A secret passes through many buffers on its way: of the API's connection, the JSON reader, headers, TLS. None of them
/// knows what it holds, so all are cleared.
pub struct Scrubbing;

// SAFETY: everything is passed on to the system's allocator under the same contract; what is overwritten before is
// memory that the caller has given back.
unsafe impl GlobalAlloc for Scrubbing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller owns these bytes and gives them up; a plain write could be left out as nobody reads it.
        unsafe {
            libc::explicit_bzero(pointer.cast::<c_void>(), layout.size());
            System.dealloc(pointer, layout);
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

/// Gives back what work needed, whenever some is over: heaps keep what they once held, and pages of code that were read
/// stay. Never returns.
pub async fn release_after_work() {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks.tick().await;
    let (mut seen, mut left) = (used(), 0);
    loop {
        looks.tick().await;
        if used().saturating_sub(seen) < REST && resident().is_some_and(|pages| pages > left + WORTH) {
            sandkeep_idle::release();
            left = resident().unwrap_or_default();
        }
        seen = used();
    }
}

/// Processor time of this process.
fn used() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Pages of memory this process holds.
fn resident() -> Option<usize> {
    fs::read_to_string("/proc/self/statm").ok()?.split_whitespace().nth(1)?.parse().ok()
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
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    Ok(rustix::process::setrlimit(rustix::process::Resource::Core, none)?)
}
