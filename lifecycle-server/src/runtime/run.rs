//! Telling the runs of a sandbox apart.

use std::sync::{Arc, Mutex, PoisonError};

/// One run of a sandbox's processes, from their start or adoption on. Once the runtime itself has ended it, whatever
/// else is noticed of its end is no news any more: the sandbox may long be in its next run.
#[derive(Debug, Clone, Default)]
pub struct Run(Arc<Mutex<bool>>);

impl Run {
    /// Nothing that is noticed of this run counts from now on. Waits for what is under way because of it.
    pub fn finish(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    pub fn is_finished(&self) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something that must not happen after [`Run::finish`].
    pub(crate) fn if_current<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let finished = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (!*finished).then(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_run_does_nothing_more() {
        let run = Run::default();
        let known = run.clone();
        assert_eq!(known.if_current(|| 1), Some(1));
        run.finish();
        assert!(known.is_finished());
        assert_eq!(known.if_current(|| 1), None);
    }
}
