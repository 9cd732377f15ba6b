//! What one holder has charged to a budget.

use std::fmt;

use crate::memory::{batch, budget::MemoryBudget};

/// What one holder has charged to a [`MemoryBudget`]: a connection, a body, a cache. Given back when it is
/// dropped.
///
/// To charge is cheap: threads report to the budget 16 KiB at a time.
pub struct MemoryAccount {
    budget: MemoryBudget,
    /// 0 <= bytes <= isize::MAX
    bytes: usize,
}

impl MemoryAccount {
    pub(super) fn new(budget: MemoryBudget) -> Self {
        Self { budget, bytes: 0 }
    }

    /// Says how much the holder holds now.
    pub fn set(&mut self, bytes: usize) {
        let bytes = bytes.min(isize::MAX as usize);
        if bytes != self.bytes {
            // Both are within an isize, so that their difference is too.
            batch::add(&self.budget, bytes as isize - self.bytes as isize);
            self.bytes = bytes;
        }
    }

    /// Says that the holder holds so much more.
    pub fn charge(&mut self, bytes: usize) {
        self.set(self.bytes.saturating_add(bytes));
    }

    /// Says that the holder holds so much less.
    pub fn release(&mut self, bytes: usize) {
        self.set(self.bytes.saturating_sub(bytes));
    }

    /// What the holder holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The budget that it is charged to.
    #[must_use]
    pub fn budget(&self) -> &MemoryBudget {
        &self.budget
    }
}

impl Drop for MemoryAccount {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl fmt::Debug for MemoryAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryAccount")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
