//! How much the broker holds.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// An amount with a limit.
#[derive(Debug)]
pub(crate) struct Usage {
    /// `used <= max`
    used: AtomicUsize,
    max: usize,
    /// How many things were given up because of the limit.
    dropped: AtomicU64,
}

impl Usage {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            max,
            dropped: AtomicU64::new(0),
        }
    }

    /// Returns whether the limit allows so much more.
    pub(crate) fn has_room(&self, amount: usize) -> bool {
        amount <= self.max.saturating_sub(self.used())
    }

    /// Returns the limit.
    pub(crate) fn limit(&self) -> LimitReached {
        LimitReached { max: self.max }
    }

    /// Adds `amount` if the limit allows it.
    pub(crate) fn try_add(&self, amount: usize) -> Result<(), LimitReached> {
        let add = |used: usize| used.checked_add(amount).filter(|used| *used <= self.max);
        let added = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        added.map(drop).map_err(|_| LimitReached { max: self.max })
    }

    /// Adds `amount`, whatever the limit: it was there before. What comes later finds no room.
    pub(crate) fn add(&self, amount: usize) {
        self.used.fetch_add(amount, Ordering::Relaxed);
    }

    /// Takes away what was added.
    pub(crate) fn subtract(&self, amount: usize) {
        let before = self.used.fetch_sub(amount, Ordering::Relaxed);
        debug_assert!(before >= amount, "{before} - {amount}");
    }

    /// Counts something that was dropped, or not kept, because of the limit.
    pub(crate) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// The limit of a [`Usage`] doesn't allow so much more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LimitReached {
    pub(crate) max: usize,
}
