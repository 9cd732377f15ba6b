//! How much the broker holds.

use std::sync::atomic::{AtomicUsize, Ordering};

/// An amount with a limit.
#[derive(Debug)]
pub(super) struct Usage {
    /// `used <= max`
    used: AtomicUsize,
    max: usize,
}

impl Usage {
    pub(super) fn new(max: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            max,
        }
    }

    /// Adds `amount` if the limit allows it.
    pub(super) fn try_add(&self, amount: usize) -> Result<(), LimitReached> {
        let add = |used: usize| used.checked_add(amount).filter(|used| *used <= self.max);
        let added = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        added.map(drop).map_err(|_| LimitReached { max: self.max })
    }

    /// Takes away what was added.
    pub(super) fn subtract(&self, amount: usize) {
        let before = self.used.fetch_sub(amount, Ordering::Relaxed);
        debug_assert!(before >= amount, "{before} - {amount}");
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// The limit of a [`Usage`] doesn't allow so much more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LimitReached {
    pub(super) max: usize,
}
