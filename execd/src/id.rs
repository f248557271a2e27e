//! Random identifiers.

use uuid::{Builder, Uuid};

/// A new random (version 4) identifier.
///
/// The bytes come straight from the kernel, as an image need not have `/dev/urandom`.
#[must_use]
pub fn random() -> Uuid {
    let mut bytes = [0_u8; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        let rest = &mut bytes[filled..];
        // SAFETY: the pointer and length are those of a live buffer.
        let count = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        // It fails only when a signal interrupts it before the kernel's first seeding.
        filled += usize::try_from(count).unwrap_or(0);
    }
    Builder::from_random_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_differ_and_are_well_formed() {
        let (one, other) = (random(), random());
        assert_ne!(one, other);
        assert_eq!(one.get_version_num(), 4);
        assert_eq!(one.simple().to_string().len(), 32);
    }
}
