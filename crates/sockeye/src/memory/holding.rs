//! The bytes that one connection holds, and what follows when memory is short.

use std::{sync::Arc, task::Waker};

use crate::memory::{
    account::MemoryAccount,
    budget::MemoryBudget,
    large_holders::{LARGE_BYTES, LargeHolder},
};

/// The bytes that one connection holds, charged to the budget. A connection that holds much is also among the budget's
/// large holders, which are closed when memory is short and woken when there is room.
pub(crate) struct Holding {
    account: MemoryAccount,
    entry: Option<Arc<LargeHolder>>,
}

impl Holding {
    pub(crate) fn new(budget: &MemoryBudget) -> Self {
        Self {
            account: budget.account(),
            entry: None,
        }
    }

    /// Sets how many bytes are held. `waker` makes a waker of the connection's driver.
    pub(crate) fn set(&mut self, bytes: usize, waker: impl FnOnce() -> Waker) {
        match &self.entry {
            Some(entry) => entry.set(bytes),
            None if bytes >= LARGE_BYTES => self.enter(bytes, waker()),
            None => {}
        }
        // After the list: if these bytes exceed the budget, this holder can be chosen already.
        self.account.set(bytes);
        if !self.is_beyond_share() {
            self.end_wait();
        }
    }

    /// Returns whether the driver has to act: to close the connection, or to wait.
    pub(crate) fn needs_driver(&self) -> bool {
        self.must_close() || self.is_beyond_share()
    }

    /// Returns whether the connection must be closed, because it is among the largest holders and memory is
    /// short.
    pub(crate) fn must_close(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.must_close())
    }

    /// Returns whether so much is held that nothing more may be read now. Then `waker` is woken when there
    /// may be room.
    pub(crate) fn must_wait(&mut self, waker: impl FnOnce() -> Waker) -> bool {
        if !self.is_beyond_share() {
            return false;
        }
        if self.entry.is_none() {
            self.enter(self.account.bytes(), waker());
        }
        if let Some(entry) = &self.entry {
            entry.wait();
        }
        self.account.budget().count().begin_wait();
        // Memory released before this registration has woken nobody, so the share is checked again.
        self.is_beyond_share()
    }

    /// Wakes the connection itself: no other thread may notice that it needn't wait any more.
    fn end_wait(&self) {
        if let Some(entry) = &self.entry {
            entry.end_wait();
        }
    }

    fn is_beyond_share(&self) -> bool {
        self.account.bytes() > self.account.budget().count().share()
    }

    fn enter(&mut self, bytes: usize, waker: Waker) {
        let large_holders = self.account.budget().count().large_holders();
        self.entry = Some(large_holders.enter(bytes, waker));
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.end_wait();
        if let Some(entry) = self.entry.take() {
            self.account.budget().count().large_holders().leave(&entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    const MIB: usize = 1 << 20;

    fn holding(budget: &MemoryBudget, bytes: usize) -> Holding {
        let mut holding = Holding::new(budget);
        holding.set(bytes, || Waker::noop().clone());
        holding
    }

    #[test]
    fn below_the_soft_mark_nobody_waits_and_beyond_it_those_who_hold_most_do() {
        let budget = MemoryBudget::new(64 * MIB);
        let mut large = holding(&budget, 20 * MIB);
        let mut medium = holding(&budget, MIB);
        let mut small = holding(&budget, 60 << 10);
        let must_wait = |holding: &mut Holding| holding.must_wait(|| Waker::noop().clone());
        assert!(!must_wait(&mut large));
        let mut others = budget.account();
        // 49, 57 and 63 of 64 MiB: a little, a half and nearly all of the space between the marks.
        for (mib, waits) in [
            (49, [true, false, false]),
            (57, [true, true, false]),
            (63, [true, true, false]),
            (65, [true, true, true]),
            (40, [false, false, false]),
        ] {
            others.set(mib * MIB - 21 * MIB - (60 << 10));
            let all = [&mut large, &mut medium, &mut small];
            assert_eq!(all.map(must_wait), waits, "{mib} MiB are used");
        }
    }

    #[test]
    fn who_waits_is_woken_when_there_is_room_and_once() {
        let budget = MemoryBudget::new(64 * MIB);
        let counter = Arc::new(Counter::default());
        let woken = || counter.0.load(Ordering::SeqCst);
        let mut others = budget.account();
        others.set(60 * MIB);
        let mut waiter = Holding::new(&budget);
        let waker = || Waker::from(Arc::clone(&counter));
        waiter.set(2 * MIB, waker);
        assert!(waiter.must_wait(waker));
        others.release(MIB / 2);
        assert_eq!(woken(), 0);
        others.release(20 * MIB);
        assert_eq!(woken(), 1);
        assert!(!waiter.must_wait(waker));
        others.release(20 * MIB);
        assert_eq!(woken(), 1);
    }

    #[test]
    fn who_waits_and_gives_back_what_it_holds_itself_is_woken_too() {
        let budget = MemoryBudget::new(64 * MIB);
        let counter = Arc::new(Counter::default());
        let mut others = budget.account();
        others.set(60 * MIB);
        for after in [Some(1), None] {
            let mut waiter = Holding::new(&budget);
            let waker = || Waker::from(Arc::clone(&counter));
            waiter.set(2 * MIB, waker);
            assert!(waiter.must_wait(waker));
            let before = counter.0.load(Ordering::SeqCst);
            match after {
                Some(bytes) => waiter.set(bytes, waker),
                None => drop(waiter),
            }
            assert_eq!(counter.0.load(Ordering::SeqCst), before + 1);
        }
    }

    #[test]
    fn beyond_the_hard_mark_those_who_hold_most_are_condemned_until_it_is_enough() {
        let budget = MemoryBudget::new(64 * MIB);
        let counter = Arc::new(Counter::default());
        let mut holdings: Vec<Holding> = (1..=10)
            .map(|mib| {
                let mut holding = Holding::new(&budget);
                holding.set(mib * MIB, || Waker::from(Arc::clone(&counter)));
                holding
            })
            .collect();
        let must_close = |holdings: &[Holding]| {
            let must_close = holdings.iter().filter(|holding| holding.must_close());
            must_close
                .map(|holding| holding.account.bytes() / MIB)
                .collect::<Vec<_>>()
        };
        assert!(must_close(&holdings).is_empty());
        let mut last = holding(&budget, 10 * MIB);
        // 65 MiB are used, 60 should be left.
        let first = must_close(&holdings);
        let more = usize::from(last.must_close());
        assert_eq!(first.len() + more, 1, "{first:?}");
        assert_eq!(counter.0.load(Ordering::SeqCst), first.len());
        last.set(20 * MIB, || Waker::noop().clone());
        holdings.retain(|holding| !holding.must_close());
        drop(last);
        assert!(budget.used_bytes() <= 55 * MIB);
        assert!(must_close(&holdings).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_hold_much_for_long_make_room_for_others_who_wait_for_it() {
        let budget = MemoryBudget::new(64 * MIB);
        let holdings = [5, 20, 15].map(|mib| holding(&budget, mib * MIB));
        let must_close = || holdings.each_ref().map(Holding::must_close);
        budget.reclaim(8 * MIB);
        tokio::time::advance(std::time::Duration::from_secs(10)).await;
        // 40 MiB are used, 48 may be.
        budget.reclaim(8 * MIB);
        assert_eq!(must_close(), [false; 3]);
        budget.reclaim(9 * MIB);
        let closed = must_close().into_iter().filter(|closed| *closed).count();
        assert_eq!(closed, 1);
        budget.reclaim(usize::MAX);
        assert_eq!(must_close(), [true; 3]);
    }
}
