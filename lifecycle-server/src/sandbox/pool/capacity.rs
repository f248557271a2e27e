//! How many members a pool should have. Pure.

/// Bounds of a pool, as its creator set them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Most members without an owner.
    pub buffer_max: u32,
    /// Fewest members without an owner.
    pub buffer_min: u32,
    /// Most members, with and without an owner.
    pub pool_max: u32,
    /// Fewest members, with and without an owner.
    pub pool_min: u32,
}

/// Where a pool stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// With an owner.
    pub allocated: usize,
    /// Without one, and ready.
    pub ready: usize,
    /// On their way to be ready.
    pub starting: usize,
    /// Callers who wait for one.
    pub waiting: usize,
}

impl Capacity {
    /// Members to start, or, when negative, to end. A buffer outside its bounds is brought to their middle, so that not
    /// every hand-over starts one.
    pub(super) fn missing(&self, standing: &Standing) -> i64 {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX / 8);
        let (least, most) = (i64::from(self.buffer_min), i64::from(self.buffer_max));
        let available = count(standing.ready) + count(standing.starting);
        let buffer = available - count(standing.waiting);
        let buffer = if (least..=most).contains(&buffer) { buffer } else { (least + most + 1) / 2 };
        let allocated = count(standing.allocated);
        let total = allocated + count(standing.waiting) + buffer;
        let total = total.max(i64::from(self.pool_min)).min(i64::from(self.pool_max));
        // Members with an owner are never ended, even if there are more than the pool may have by now.
        (total - allocated).max(0) - available
    }

    /// Whether a caller who finds nothing ready may hope for a member.
    pub(super) fn has_room(&self, allocated: usize) -> bool {
        allocated < self.pool_max as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn capacity(buffer: (u32, u32), pool: (u32, u32)) -> Capacity {
        Capacity { buffer_min: buffer.0, buffer_max: buffer.1, pool_min: pool.0, pool_max: pool.1 }
    }

    fn missing(capacity: Capacity, allocated: usize, available: usize, waiting: usize) -> i64 {
        capacity.missing(&Standing { allocated, ready: available, starting: 0, waiting })
    }

    #[test]
    fn buffers_are_brought_to_the_middle_of_their_bounds() {
        let plain = capacity((2, 6), (0, 100));
        assert_eq!(missing(plain, 0, 0, 0), 4);
        assert_eq!(missing(plain, 0, 2, 0), 0);
        assert_eq!(missing(plain, 0, 1, 0), 3);
        assert_eq!(missing(plain, 0, 9, 0), -5);
        assert_eq!(missing(plain, 50, 4, 0), 0);
    }

    #[test]
    fn the_pool_s_bounds_are_stronger_than_the_buffer_s() {
        assert_eq!(missing(capacity((2, 2), (0, 3)), 2, 0, 0), 1);
        assert_eq!(missing(capacity((2, 2), (0, 3)), 3, 0, 0), 0);
        assert_eq!(missing(capacity((0, 0), (5, 10)), 1, 0, 0), 4);
        assert_eq!(missing(capacity((0, 0), (0, 1)), 5, 0, 0), 0);
        assert_eq!(missing(capacity((0, 0), (0, 0)), 0, 3, 0), -3);
    }

    #[test]
    fn callers_who_wait_get_members_of_their_own() {
        assert_eq!(missing(capacity((0, 0), (0, 10)), 0, 0, 3), 3);
        assert_eq!(missing(capacity((0, 0), (0, 2)), 1, 0, 3), 1);
        assert_eq!(missing(capacity((2, 2), (0, 10)), 0, 0, 3), 5);
        assert!(capacity((0, 0), (0, 2)).has_room(1) && !capacity((0, 0), (0, 2)).has_room(2));
    }

    proptest! {
        /// Doing what is said leads to a standing where nothing is left to do, within the pool's bounds.
        #[test]
        fn one_step_is_enough(
            buffer in (0u32..20, 0u32..20), pool in (0u32..40, 0u32..40), allocated in 0usize..50, ready in 0usize..50,
        ) {
            let bounds = capacity(
                (buffer.0.min(buffer.1), buffer.0.max(buffer.1)), (pool.0.min(pool.1), pool.0.max(pool.1)),
            );
            let step = missing(bounds, allocated, ready, 0);
            let after = usize::try_from(ready as i64 + step).unwrap();
            prop_assert_eq!(missing(bounds, allocated, after, 0), 0, "{:?} {} {}", bounds, allocated, ready);
            prop_assert!(allocated + after <= (bounds.pool_max as usize).max(allocated));
        }
    }
}
