//! The connections that hold much: which of them wait, and which are closed, when memory is short.

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Waker,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

/// All holders of much memory of one budget, and all that wait for room in it. Their number is hardly larger
/// than the budget divided by [`LARGE_BYTES`].
#[derive(Default)]
pub(super) struct LargeHolders {
    /// The key is the entry's address.
    entries: Mutex<HashMap<usize, Arc<LargeHolder>>>,
}

/// One holder of much memory.
pub(crate) struct LargeHolder {
    bytes: AtomicUsize,
    /// Since when it has held [`LARGE_BYTES`] or more; of no meaning while it holds less.
    large_since: Mutex<Instant>,
    /// Whether the holder is to be closed. Once set, it stays set.
    must_close: AtomicBool,
    /// Whether the holder reads nothing until there is room.
    waits: AtomicBool,
    /// Wakes the holder's driver.
    waker: Waker,
}

/// Bytes. A holder of less isn't among them and isn't closed.
pub(crate) const LARGE_BYTES: usize = 64 << 10;

impl LargeHolders {
    pub(super) fn enter(&self, bytes: usize, waker: Waker) -> Arc<LargeHolder> {
        let entry = Arc::new(LargeHolder {
            bytes: AtomicUsize::new(bytes),
            large_since: Mutex::new(Instant::now()),
            must_close: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            waker,
        });
        let key = Arc::as_ptr(&entry).addr();
        self.entries.lock().insert(key, Arc::clone(&entry));
        entry
    }

    pub(super) fn leave(&self, entry: &Arc<LargeHolder>) {
        let key = Arc::as_ptr(entry).addr();
        let entry = self.entries.lock().remove(&key);
        // After the lock is released: dropping a waker may run code that comes here.
        drop(entry);
    }

    /// Wakes all that wait, so that each checks whether there is room for it.
    pub(super) fn wake_waiting(&self) {
        let entries = self.entries.lock();
        let waiting = entries
            .values()
            .filter(|entry| entry.waits.swap(false, Ordering::SeqCst));
        let wakers: Vec<Waker> = waiting.map(|entry| entry.waker.clone()).collect();
        drop(entries);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Chooses the largest holders to be closed, until all chosen ones hold `bytes` together or none is left.
    /// Returns how many were newly chosen.
    pub(super) fn close_largest(&self, bytes: usize) -> usize {
        self.close(bytes, |entry| Some(Reverse(entry.bytes())))
    }

    /// As [`LargeHolders::close_largest`], but chooses those first that have held much for the longest time, and none that has
    /// for less than `held_min`.
    pub(super) fn close_oldest(&self, bytes: usize, held_min: Duration) -> usize {
        let now = Instant::now();
        self.close(bytes, |entry| {
            let since = *entry.large_since.lock();
            (now.saturating_duration_since(since) >= held_min).then_some(since)
        })
    }

    /// Chooses holders to be closed in the order of their keys. One without a key isn't chosen.
    fn close<K: Ord>(&self, bytes: usize, key: impl Fn(&LargeHolder) -> Option<K>) -> usize {
        // Another thread is choosing.
        let Some(entries) = self.entries.try_lock() else {
            return 0;
        };
        let mut open = Vec::new();
        let mut condemned_bytes = 0_usize;
        for entry in entries.values() {
            let held = entry.bytes();
            match entry.must_close() {
                true => condemned_bytes = condemned_bytes.saturating_add(held),
                false if held >= LARGE_BYTES => {
                    open.extend(key(entry).map(|key| (key, held, entry)));
                }
                false => {}
            }
        }
        open.sort_unstable_by(|(one, ..), (other, ..)| one.cmp(other));
        let mut wakers = Vec::new();
        for (_, held, entry) in open {
            if condemned_bytes >= bytes {
                break;
            }
            condemned_bytes = condemned_bytes.saturating_add(held);
            entry.must_close.store(true, Ordering::Relaxed);
            wakers.push(entry.waker.clone());
        }
        drop(entries);
        let count = wakers.len();
        wakers.into_iter().for_each(Waker::wake);
        count
    }
}

impl LargeHolder {
    /// Waits for [`LargeHolders::wake_waiting`] from now on.
    pub(super) fn wait(&self) {
        self.waits.store(true, Ordering::SeqCst);
    }

    /// Ends the wait, and wakes the driver if there was one.
    pub(super) fn end_wait(&self) {
        if self.waits.swap(false, Ordering::SeqCst) {
            self.waker.wake_by_ref();
        }
    }

    pub(crate) fn set(&self, bytes: usize) {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        if before < LARGE_BYTES && bytes >= LARGE_BYTES {
            *self.large_since.lock() = Instant::now();
        }
    }

    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns whether the holder must be closed, because it is among the largest and memory is short.
    pub(crate) fn must_close(&self) -> bool {
        self.must_close.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_hold_most_are_condemned_and_no_more_than_are_needed() {
        let large_holders = LargeHolders::default();
        let holds = [100, 500, 300, 400, 200].map(|kib| kib << 10);
        let entries = holds.map(|bytes| large_holders.enter(bytes, Waker::noop().clone()));
        let must_close = || {
            let must_close = entries.iter().filter(|entry| entry.must_close());
            must_close
                .map(|entry| entry.bytes() >> 10)
                .collect::<Vec<_>>()
        };
        assert_eq!(large_holders.close_largest(0), 0);
        assert_eq!(large_holders.close_largest(501 << 10), 2);
        assert_eq!(must_close(), [500, 400]);
        // The chosen ones haven't gone yet, and suffice.
        assert_eq!(large_holders.close_largest(900 << 10), 0);
        large_holders.leave(&entries[1]);
        assert_eq!(large_holders.close_largest(500 << 10), 1);
        assert_eq!(must_close(), [500, 300, 400]);
        let small = large_holders.enter(LARGE_BYTES - 1, Waker::noop().clone());
        assert_eq!(large_holders.close_largest(usize::MAX), 2);
        assert!(!small.must_close());
        assert_eq!(large_holders.close_largest(usize::MAX), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_have_held_much_for_long_go_first_and_those_who_gave_it_back_begin_anew() {
        let large_holders = LargeHolders::default();
        let enter = async || {
            tokio::time::advance(Duration::from_secs(1)).await;
            large_holders.enter(100 << 10, Waker::noop().clone())
        };
        let entries = [enter().await, enter().await, enter().await, enter().await];
        entries[0].set(LARGE_BYTES - 1);
        entries[0].set(100 << 10);
        entries[1].set(LARGE_BYTES);
        let must_close = || entries.each_ref().map(|entry| entry.must_close());
        let held_min = Duration::from_secs(10);
        tokio::time::advance(held_min - Duration::from_secs(3)).await;
        assert_eq!(large_holders.close_oldest(usize::MAX, held_min), 0);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(large_holders.close_oldest(1, held_min), 1);
        assert_eq!(must_close(), [false, true, false, false]);
        assert_eq!(large_holders.close_oldest(usize::MAX, held_min), 1);
        assert_eq!(must_close(), [false, true, true, false]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(large_holders.close_oldest(usize::MAX, held_min), 2);
    }
}
