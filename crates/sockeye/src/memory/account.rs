//! The bytes that one holder has charged to a budget.

use std::fmt;

use crate::memory::{budget::MemoryBudget, unreported};

/// The bytes that one holder, such as a connection, a body or a cache, has charged to a [`MemoryBudget`].
/// Dropping the account gives them back.
///
/// Charging is cheap: a thread reports to the budget 16 KiB at a time.
pub struct MemoryAccount {
    budget: MemoryBudget,
    /// 0 <= bytes <= isize::MAX
    bytes: usize,
}

impl MemoryBudget {
    /// Opens an account for one holder, such as a connection, a body or a cache. It holds nothing yet.
    #[must_use]
    pub fn account(&self) -> MemoryAccount {
        MemoryAccount {
            budget: self.clone(),
            bytes: 0,
        }
    }
}

impl MemoryAccount {
    /// Sets how many bytes the holder holds now.
    pub fn set(&mut self, bytes: usize) {
        let bytes = bytes.min(isize::MAX as usize);
        if bytes != self.bytes {
            // Both are at most `isize::MAX`, so the difference fits an isize.
            unreported::add(self.budget.count(), bytes as isize - self.bytes as isize);
            self.bytes = bytes;
        }
    }

    /// Adds `bytes` to what the holder holds.
    pub fn charge(&mut self, bytes: usize) {
        self.set(self.bytes.saturating_add(bytes));
    }

    /// Adds `bytes` to what the holder holds, if no more than `used_max` bytes of the budget are used then. Returns whether it did. Two
    /// threads never get the same room. It writes to the count of the budget at once, so it is for large holders.
    pub fn try_charge(&mut self, bytes: usize, used_max: usize) -> bool {
        unreported::report();
        let used_max = used_max.min(isize::MAX as usize);
        let has_room = self.budget.count().try_add(bytes, used_max);
        if has_room {
            self.bytes += bytes;
        }
        has_room
    }

    /// Subtracts `bytes` from what the holder holds.
    pub fn release(&mut self, bytes: usize) {
        self.set(self.bytes.saturating_sub(bytes));
    }

    /// Returns how many bytes the holder holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the budget to which the account belongs.
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
