//! How the server asks the system for memory.

/// Call before the first thread starts.
pub fn limit_arenas() {
    // More arenas would each keep free memory of their own, and the server mostly waits.
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` only sets a number, and no other thread allocates yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}
