//! The count of a budget: how many bytes are used, and what follows from that.

use std::{
    sync::atomic::{AtomicIsize, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use crate::{
    log_limit::LogLimit,
    memory::large_holders::{LARGE_BYTES, LargeHolders},
};

/// The state that all clones of a budget share.
pub(super) struct Count {
    bytes_max: usize,
    /// soft_bytes_max <= bytes_max
    soft_bytes_max: usize,
    /// Bytes that threads have reported. Negative for a moment, if the thread that releases reports before
    /// the thread that has charged.
    used: AtomicIsize,
    /// When fewer bytes are used, the connections that wait for room are woken. 0: none waits.
    wake_below: AtomicUsize,
    /// When more bytes are used, the largest holders are chosen to be closed.
    close_above: AtomicUsize,
    large_holders: LargeHolders,
    log_limit: LogLimit,
    reclaim_log_limit: LogLimit,
}

impl Count {
    pub(super) fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max.min(isize::MAX as usize);
        Self {
            bytes_max,
            soft_bytes_max: bytes_max - bytes_max / SOFT_SHARE,
            used: AtomicIsize::new(0),
            wake_below: AtomicUsize::new(0),
            close_above: AtomicUsize::new(bytes_max),
            large_holders: LargeHolders::default(),
            log_limit: LogLimit::new(),
            reclaim_log_limit: LogLimit::new(),
        }
    }

    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    pub(super) fn soft_bytes_max(&self) -> usize {
        self.soft_bytes_max
    }

    /// Adds the bytes that a thread has charged, or subtracts those that it has released. The caller calls
    /// [`Count::follow_up`] next.
    pub(super) fn add(&self, bytes: isize) {
        self.used.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Adds `bytes` if no more than `used_max` are used then, which is at most [`isize::MAX`]. Returns whether it did.
    pub(super) fn try_add(&self, bytes: usize, used_max: usize) -> bool {
        let next = |used: isize| {
            let has_room = (used.max(0) as usize).saturating_add(bytes) <= used_max;
            // `bytes` are at most `used_max`, so they fit an isize.
            has_room.then(|| used.saturating_add(bytes as isize))
        };
        let order = Ordering::SeqCst;
        self.used.fetch_update(order, order, next).is_ok()
    }

    /// Closes the largest holders or wakes the waiting ones, whichever the count calls for. The caller must
    /// hold no lock that a waker may want.
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
            self.large_holders.wake_waiting();
        }
    }

    /// Returns how many bytes one connection may hold and still be read from. Below the soft mark there is no
    /// limit. At the soft mark it is 16 MiB, at the hard mark 64 KiB, and it halves with each eighth of the
    /// way between, so that the smallest holders are restricted last.
    pub(super) fn share(&self) -> usize {
        let used = self.used_bytes();
        match self.bytes_max.checked_sub(used) {
            _ if used <= self.soft_bytes_max => usize::MAX,
            Some(free) => LARGE_BYTES << (free * 8 / self.step_bytes()).min(8),
            None => HARD_SHARE_BYTES,
        }
    }

    /// Registers that a connection waits. The caller checks [`Count::share`] once more after it.
    pub(super) fn begin_wait(&self) {
        // A little below the present use, so that small changes don't wake all of them again and again.
        let below = self.used_bytes().saturating_sub(self.step_bytes() / 8);
        self.wake_below.fetch_max(below.max(1), Ordering::SeqCst);
    }

    pub(super) fn large_holders(&self) -> &LargeHolders {
        &self.large_holders
    }

    /// Returns the bytes between the two marks.
    fn step_bytes(&self) -> usize {
        (self.bytes_max - self.soft_bytes_max).max(1)
    }

    /// Has the largest holders closed, unless the last choice still suffices.
    #[cold]
    fn free_some(&self, used: usize) {
        if used <= self.close_above.load(Ordering::Relaxed) {
            return;
        }
        let next = used.saturating_add(self.bytes_max / 64);
        self.close_above.store(next, Ordering::Relaxed);
        let target = self.bytes_max - self.bytes_max / SPARE_SHARE;
        let count = self.large_holders.close_largest(used - target);
        if let Some(suppressed) = self.log_limit.due(Instant::now()) {
            tracing::warn!(
                used,
                bytes_max = self.bytes_max,
                closed = count,
                suppressed,
                "memory is short: the connections that hold most are closed"
            );
        }
    }

    /// Has those closed that have held much for [`RECLAIM_HELD_MIN`], until `bytes` more have room below the soft mark.
    pub(super) fn reclaim(&self, bytes: usize) {
        let wanted = self.used_bytes().saturating_add(bytes);
        let Some(missing) = wanted.checked_sub(self.soft_bytes_max) else {
            return;
        };
        let count = self.large_holders.close_oldest(missing, RECLAIM_HELD_MIN);
        if count > 0
            && let Some(suppressed) = self.reclaim_log_limit.due(Instant::now())
        {
            tracing::warn!(
                bytes,
                closed = count,
                suppressed,
                "others wait for memory: connections that have held much for 10 s are closed"
            );
        }
    }

    pub(super) fn used_bytes(&self) -> usize {
        self.used.load(Ordering::SeqCst).max(0) as usize
    }
}

/// The soft mark is below the hard one by this part of the budget.
const SOFT_SHARE: usize = 4;

/// This part of the budget is free once the largest holders have been closed, so that none needs to be closed
/// again at once.
const SPARE_SHARE: usize = 16;

/// How long a holder may hold much while others wait for memory: at 1 Mbit/s a megabyte is read in that time.
const RECLAIM_HELD_MIN: Duration = Duration::from_secs(10);

/// Bytes that a connection may hold beyond the hard mark and still be read from: a short message that came in
/// two pieces.
const HARD_SHARE_BYTES: usize = 4 << 10;
