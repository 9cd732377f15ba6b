//! The bytes of a holder outside this crate that gives them up when memory is short.

use std::{fmt, task::Waker};

use crate::memory::{budget::MemoryBudget, holding::Holding};

/// The bytes of one holder that can give them up, such as a queue of a transport. When memory is short, the holders of most
/// are chosen until there is room, as connections are: this one if [`MemoryHolder::must_end`] says so. A holder of less than 64 KiB
/// is never chosen. Dropping it gives the bytes back.
///
/// ```
/// use std::task::Waker;
///
/// use sockeye::MemoryBudget;
///
/// let budget = MemoryBudget::new(1 << 20);
/// let mut queue = budget.holder(Waker::noop().clone());
/// let mut other = budget.holder(Waker::noop().clone());
/// queue.set(700 << 10);
/// other.set(400 << 10);
/// assert!(queue.must_end() && !other.must_end());
/// ```
pub struct MemoryHolder {
    holding: Holding,
    waker: Waker,
}

impl MemoryBudget {
    /// Opens an account for a holder that can give up what it holds. `waker` is woken when it must. That can be on any thread,
    /// also within [`MemoryHolder::set`] of another holder: it must not take a lock under which a holder is set.
    #[must_use]
    pub fn holder(&self, waker: Waker) -> MemoryHolder {
        MemoryHolder {
            holding: Holding::new(self),
            waker,
        }
    }
}

impl MemoryHolder {
    /// Sets how many bytes are held now.
    pub fn set(&mut self, bytes: usize) {
        let waker = &self.waker;
        self.holding.set(bytes, || waker.clone());
    }

    /// Returns whether the holder must give up what it holds, because it is among those that hold most and memory is short. Once it
    /// is, it stays so.
    #[must_use]
    pub fn must_end(&self) -> bool {
        self.holding.must_close()
    }
}

impl fmt::Debug for MemoryHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryHolder")
            .field("must_end", &self.must_end())
            .finish_non_exhaustive()
    }
}
