//! The budget: how much may be held, and how much is.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicIsize, AtomicUsize, Ordering},
    },
};

use crate::memory::{
    account::MemoryAccount,
    batch,
    ledger::{LARGE_BYTES, Ledger},
    system,
};

/// A bound on the memory that peers can make a process hold: unfinished messages, what waits to be sent, what
/// was received and not yet taken, bodies of HTTP requests, and whatever else a program charges to it.
///
/// Cheap to clone; all clones are one budget. A program usually has one: [`MemoryBudget::of_process`] is what
/// [`crate::Settings`] begin with.
///
/// There are two marks. Beyond the soft one, three quarters of the budget, nothing more is read from the
/// connections that hold most; they are read again when there is room. Beyond the hard one, the budget
/// itself, those that hold most are closed with 1013 until there is room. A connection that holds little
/// notices neither.
///
/// It counts what peers can make grow, not all that a process uses: code, threads, idle connections and the
/// buffers that threads keep come on top, and so does the memory that an allocator can't give back.
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
    /// Below the soft mark: nobody is restricted.
    None,
    /// Beyond the soft mark: whoever holds much should not take more.
    Soft,
    /// Beyond the budget: what isn't held yet should be refused.
    Hard,
}

/// What all clones of a budget share.
pub(super) struct Count {
    bytes_max: usize,
    /// soft_bytes_max <= bytes_max
    soft_bytes_max: usize,
    /// What threads have reported. For a moment it may be negative: the thread that releases may report
    /// before the one that has charged.
    used: AtomicIsize,
    /// When less is used, those who wait for room are woken. 0: nobody waits.
    wake_below: AtomicUsize,
    /// When more is used, those who hold most are looked for.
    close_above: AtomicUsize,
    ledger: Ledger,
}

impl MemoryBudget {
    /// A budget of `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max.min(isize::MAX as usize);
        Self(Arc::new(Count {
            bytes_max,
            soft_bytes_max: bytes_max - bytes_max / SOFT_SHARE,
            used: AtomicIsize::new(0),
            wake_below: AtomicUsize::new(0),
            close_above: AtomicUsize::new(bytes_max),
            ledger: Ledger::default(),
        }))
    }

    /// A budget of a quarter of the memory that this process may have: the least of the machine's memory, the
    /// limits of its cgroup and of all cgroups above (`memory.max` and `memory.high` of version 2,
    /// `memory.limit_in_bytes` of version 1), and the limit of its address space (`RLIMIT_AS`). 256 MiB where
    /// the system tells none of these.
    #[must_use]
    pub fn auto() -> Self {
        let memory = system::memory_bytes();
        Self::new(memory.map_or(UNKNOWN_BYTES_MAX, |bytes| bytes / AUTO_SHARE))
    }

    /// The budget that all share that have none of their own: [`MemoryBudget::auto`] as it was when somebody
    /// asked first.
    #[must_use]
    pub fn of_process() -> Self {
        static OF_PROCESS: OnceLock<MemoryBudget> = OnceLock::new();
        OF_PROCESS.get_or_init(Self::auto).clone()
    }

    /// The hard mark.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.0.bytes_max
    }

    /// The soft mark.
    #[must_use]
    pub fn soft_bytes_max(&self) -> usize {
        self.0.soft_bytes_max
    }

    /// Bytes that are held. Threads report what they have charged 16 KiB at a time: of every other thread so much
    /// may be missing.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        batch::report();
        self.0.used_bytes()
    }

    /// How full it is, as far as threads have reported.
    #[must_use]
    pub fn pressure(&self) -> MemoryPressure {
        self.0.pressure()
    }

    /// An account for one holder: a connection, a body, a cache. It holds nothing yet.
    #[must_use]
    pub fn account(&self) -> MemoryAccount {
        MemoryAccount::new(self.clone())
    }

    pub(super) fn count(&self) -> &Count {
        &self.0
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Default for MemoryBudget {
    /// [`MemoryBudget::of_process`].
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

impl Count {
    /// Adds what a thread has charged, or takes off what it has released. Call [`Count::follow_up`] after it.
    pub(super) fn add(&self, bytes: isize) {
        self.used.fetch_add(bytes, Ordering::SeqCst);
    }

    /// What follows from how much is used now. Wakes others: not to be called under a lock that they may want.
    pub(super) fn follow_up(&self) {
        let used = self.used_bytes();
        if used > self.bytes_max {
            return self.free_some(used);
        }
        if self.close_above.load(Ordering::Relaxed) != self.bytes_max {
            self.close_above.store(self.bytes_max, Ordering::Relaxed);
        }
        if used < self.wake_below.load(Ordering::SeqCst) {
            self.wake_below.store(0, Ordering::SeqCst);
            self.ledger.wake_waiting();
        }
    }

    /// So much one connection may hold and be read from all the same. Without a limit below the soft mark; from
    /// 16 MiB there to 64 KiB at the hard one, halved with each eighth of the way, so that whoever holds least is
    /// restricted last.
    pub(super) fn share(&self) -> usize {
        let used = self.used_bytes();
        match self.bytes_max.checked_sub(used) {
            _ if used <= self.soft_bytes_max => usize::MAX,
            Some(free) => LARGE_BYTES << (free * 8 / self.step_bytes()).min(8),
            None => HARD_SHARE_BYTES,
        }
    }

    /// Somebody waits from now on, and looks at [`Count::share`] again.
    pub(super) fn begin_wait(&self) {
        // A little less, so that little that comes and goes doesn't wake all of them again and again.
        let below = self.used_bytes().saturating_sub(self.step_bytes() / 8);
        self.wake_below.fetch_max(below.max(1), Ordering::SeqCst);
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Bytes between the marks.
    fn step_bytes(&self) -> usize {
        (self.bytes_max - self.soft_bytes_max).max(1)
    }

    /// Sees to it that those go who hold most.
    #[cold]
    fn free_some(&self, used: usize) {
        if used <= self.close_above.load(Ordering::Relaxed) {
            return;
        }
        let next = used.saturating_add(self.bytes_max / 64);
        self.close_above.store(next, Ordering::Relaxed);
        let target = self.bytes_max - self.bytes_max / SPARE_SHARE;
        let count = self.ledger.close_largest(used - target);
        tracing::warn!(
            used,
            bytes_max = self.bytes_max,
            closed = count,
            "memory is short: those who hold most are closed"
        );
    }

    fn used_bytes(&self) -> usize {
        self.used.load(Ordering::SeqCst).max(0) as usize
    }

    fn pressure(&self) -> MemoryPressure {
        match self.used_bytes() {
            used if used > self.bytes_max => MemoryPressure::Hard,
            used if used > self.soft_bytes_max => MemoryPressure::Soft,
            _ => MemoryPressure::None,
        }
    }
}

/// The soft mark is this part of the budget below the hard one.
const SOFT_SHARE: usize = 4;

/// This part of the budget is free after those were closed who hold most, so that it isn't needed again at once.
const SPARE_SHARE: usize = 16;

/// Bytes. What a connection may hold beyond the hard mark and be read from all the same: a short message that came in
/// two pieces.
const HARD_SHARE_BYTES: usize = 4 << 10;

/// The part of a process's memory that peers may have. The others are for what isn't counted: vectors that have
/// grown to twice what is in them, holes of the allocator, the kernel's buffers, threads, pages and stores.
const AUTO_SHARE: usize = 4;

/// Bytes. Where the system doesn't say what there is: a quarter of a small machine.
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
