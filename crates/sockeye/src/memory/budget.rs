//! The budget: how much memory may be held, and how much is.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use crate::memory::{count::Count, system, unreported};

/// A bound on the memory that peers can make a process hold: unfinished messages, bytes that wait to be sent,
/// messages received and not yet taken, bodies of HTTP requests, and whatever else a program charges to it.
///
/// It is cheap to clone, and all clones are one budget. A program usually has one:
/// [`MemoryBudget::of_process`], the default of [`crate::Settings`].
///
/// There are two marks. Beyond the soft mark, three quarters of the budget, the connections that hold most
/// are not read from until there is room. Beyond the hard mark, the budget itself, the connections that hold
/// most are closed with 1013 until there is room. A connection that holds little notices neither. Who waits for room below
/// the soft mark can have those closed that have held much for long: [`MemoryBudget::reclaim`].
///
/// The budget counts what peers can make grow. Code, threads, idle connections, buffers that threads keep and
/// memory that the allocator can't give back come on top.
///
/// ```
/// use sockeye::{MemoryBudget, MemoryPressure};
///
/// let budget = MemoryBudget::new(1 << 20);
/// let mut account = budget.account();
/// account.set(900 << 10);
/// assert_eq!(budget.used_bytes(), 900 << 10);
/// assert_eq!(budget.pressure(), MemoryPressure::Soft);
/// drop(account);
/// assert_eq!(budget.used_bytes(), 0);
/// ```
#[derive(Clone)]
pub struct MemoryBudget(Arc<Count>);

/// How full a [`MemoryBudget`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemoryPressure {
    /// Below the soft mark: nothing is restricted.
    None,
    /// Beyond the soft mark: a holder of much memory should take no more.
    Soft,
    /// Beyond the budget: new requests for memory should be refused.
    Hard,
}

impl MemoryBudget {
    /// Creates a budget of `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Count::new(bytes_max)))
    }

    /// Creates a budget of a quarter of the memory that this process may have: the least of the machine's
    /// memory, the limits of its cgroup and of all cgroups above (`memory.max` and `memory.high` of version
    /// 2, `memory.limit_in_bytes` of version 1), and the limit of its address space (`RLIMIT_AS`). It is 256
    /// MiB where the system tells none of these.
    #[must_use]
    pub fn auto() -> Self {
        let memory = system::memory_bytes();
        Self::new(memory.map_or(UNKNOWN_BYTES_MAX, |bytes| bytes / AUTO_SHARE))
    }

    /// Returns the budget of the process, which every connection without a budget of its own shares:
    /// [`MemoryBudget::auto`], read at the first call.
    #[must_use]
    pub fn of_process() -> Self {
        static OF_PROCESS: OnceLock<MemoryBudget> = OnceLock::new();
        OF_PROCESS.get_or_init(Self::auto).clone()
    }

    /// Returns the hard mark, in bytes.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.0.bytes_max()
    }

    /// Returns the soft mark, in bytes.
    #[must_use]
    pub fn soft_bytes_max(&self) -> usize {
        self.0.soft_bytes_max()
    }

    /// Returns how many bytes are held. A thread reports 16 KiB at a time, so up to 16 KiB of every other
    /// thread may be missing.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        unreported::report();
        self.0.used_bytes()
    }

    /// Returns how full the budget is, by what threads have reported.
    #[must_use]
    pub fn pressure(&self) -> MemoryPressure {
        match self.0.used_bytes() {
            used if used > self.0.bytes_max() => MemoryPressure::Hard,
            used if used > self.0.soft_bytes_max() => MemoryPressure::Soft,
            _ => MemoryPressure::None,
        }
    }

    /// Makes room for `bytes` bytes below the soft mark, for somebody who waits for them. Closes the connections that have held 64 KiB or
    /// more for 10 s without a break, those of the longest time first, until there will be room; none if there is room. A peer that
    /// reads one byte now and then would otherwise keep the room from all others. Call it after a short wait, and again while there is none.
    ///
    /// It wakes what is closed, so the caller must hold no lock that a waker of [`MemoryBudget::holder`] may want.
    pub fn reclaim(&self, bytes: usize) {
        unreported::report();
        self.0.reclaim(bytes);
    }

    pub(super) fn count(&self) -> &Arc<Count> {
        &self.0
    }
}

impl Default for MemoryBudget {
    /// Returns [`MemoryBudget::of_process`].
    fn default() -> Self {
        Self::of_process()
    }
}

impl fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBudget")
            .field("bytes_max", &self.bytes_max())
            .field("used_bytes", &self.0.used_bytes())
            .finish_non_exhaustive()
    }
}

/// The part of a process's memory that peers may use. The rest is for what isn't counted: vectors that have
/// grown to twice their contents, fragmentation of the allocator, the kernel's buffers, threads, pages and
/// stores.
const AUTO_SHARE: usize = 4;

/// Bytes. The budget where the system doesn't tell how much memory there is: a quarter of a small machine.
const UNKNOWN_BYTES_MAX: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_where_they_are_said_to_be() {
        let budget = MemoryBudget::new(4000);
        let mut account = budget.account();
        for (bytes, pressure) in [
            (3000, MemoryPressure::None),
            (3001, MemoryPressure::Soft),
            (4000, MemoryPressure::Soft),
            (4001, MemoryPressure::Hard),
            (0, MemoryPressure::None),
        ] {
            account.set(bytes);
            assert_eq!(budget.used_bytes(), bytes);
            assert_eq!(budget.pressure(), pressure, "{bytes}");
        }
    }

    #[test]
    fn what_is_charged_on_a_condition_is_never_more_than_it_says() {
        let budget = MemoryBudget::new(1_000_000);
        let charge = || {
            let mut account = budget.account();
            let charged = (0..1_000).filter(|_| account.try_charge(1_000, 750_000));
            (charged.count(), account)
        };
        let all = std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(charge));
            threads.map(|thread| thread.join().unwrap())
        });
        assert_eq!(all.iter().map(|(count, _)| count).sum::<usize>(), 750);
        assert_eq!(budget.used_bytes(), 750_000);
        assert!(!budget.account().try_charge(usize::MAX, usize::MAX));
        for (count, account) in &all {
            assert_eq!(account.bytes(), count * 1_000);
        }
        drop(all);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn what_other_threads_hold_counts_and_ends_with_them() {
        let budget = MemoryBudget::new(1 << 30);
        let mut accounts = Vec::new();
        for bytes in [1, 1000, 100_000] {
            let mut account = budget.account();
            let there = std::thread::spawn(move || {
                account.set(bytes);
                account
            });
            accounts.push(there.join().unwrap());
        }
        // The threads have ended, so that nothing is unreported.
        assert_eq!(budget.used_bytes(), 101_001);
        std::thread::spawn(move || drop(accounts)).join().unwrap();
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn a_thread_that_serves_two_budgets_mixes_nothing() {
        let (one, other) = (MemoryBudget::new(1 << 30), MemoryBudget::new(1 << 30));
        let (mut first, mut second) = (one.account(), other.account());
        for _ in 0..100 {
            first.charge(1);
            second.charge(2);
        }
        assert_eq!((one.used_bytes(), other.used_bytes()), (100, 200));
        first.release(100);
        drop(second);
        assert_eq!((one.used_bytes(), other.used_bytes()), (0, 0));
    }

    #[test]
    fn no_number_is_too_large() {
        let budget = MemoryBudget::new(usize::MAX);
        let mut account = budget.account();
        account.set(usize::MAX);
        account.charge(usize::MAX);
        assert!(budget.used_bytes() <= budget.bytes_max());
        drop(account);
        assert_eq!(budget.used_bytes(), 0);
    }
}
