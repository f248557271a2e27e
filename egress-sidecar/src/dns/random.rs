//! Numbers nobody can guess.

/// Bytes taken from the kernel at once.
const POOL: usize = 512;

/// A supply of them.
#[derive(Debug)]
pub(super) struct Random {
    pool: [u8; POOL],
    used: usize,
}

impl Default for Random {
    fn default() -> Self {
        Self { pool: [0; POOL], used: POOL }
    }
}

impl Random {
    /// The next number; `None` when the kernel gives none.
    pub(super) fn next(&mut self) -> Option<u16> {
        if self.used + 2 > POOL {
            let got =
                rustix::rand::getrandom(&mut self.pool[..], rustix::rand::GetRandomFlags::empty()).ok()?;
            if got < POOL {
                return None;
            }
            self.used = 0;
        }
        let number = u16::from_ne_bytes([self.pool[self.used], self.pool[self.used + 1]]);
        self.used += 2;
        Some(number)
    }
}
