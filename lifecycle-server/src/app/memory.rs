//! Keeps the server small: it starts with far more memory in use than it needs to serve.

/// Call before the first thread starts.
pub fn limit_arenas() {
    // More arenas would each keep free memory of their own, and the server mostly waits.
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` only sets a number, and no other thread allocates yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

/// Gives what starting up needed and serving doesn't back to the system.
pub(super) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim` may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
