//! A secret in memory.

use std::ffi::c_void;

use zeroize::Zeroizing;

/// A secret: overwritten when dropped, kept out of swap where that is allowed, and impossible to print.
pub(super) struct Secret(Zeroizing<String>);

impl Secret {
    pub(super) fn new(text: String) -> Self {
        let secret = Self(Zeroizing::new(text));
        let bytes = secret.0.as_bytes();
        // Not allowed everywhere, and then there is nothing better. Never unlocked, as a page holds other things too.
        // SAFETY: the range is memory of ours; locking changes nothing in it.
        let _ = unsafe { libc::mlock(bytes.as_ptr().cast::<c_void>(), bytes.len()) };
        secret
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}
