//! The bodies of plain requests that are being read, all together.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
};

use parking_lot::Mutex;

use crate::memory::MemoryBudget;

/// The unfinished bodies of one server. Together they may take a part of the memory budget. Beyond it the body that began
/// first ends, so that bodies which stop don't keep out those that come on.
#[derive(Debug)]
pub(crate) struct Bodies {
    bytes_max: usize,
    reading: Mutex<Reading>,
}

#[derive(Debug, Default)]
struct Reading {
    /// The sum of all `entries`.
    bytes: usize,
    next_number: u64,
    /// In the order in which they began.
    entries: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    bytes: usize,
    signal: Arc<Signal>,
}

/// Tells a body that it must end.
#[derive(Debug, Default)]
struct Signal {
    must_end: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// One unfinished body, counted until this is dropped.
#[derive(Debug)]
pub(crate) struct UnfinishedBody {
    bodies: Arc<Bodies>,
    number: u64,
    signal: Arc<Signal>,
}

/// The unfinished bodies may take this part of the memory budget.
const BUDGET_PART: usize = 4;

impl Bodies {
    pub(crate) fn of_budget(budget: &MemoryBudget) -> Arc<Self> {
        Self::new(budget.bytes_max() / BUDGET_PART)
    }

    fn new(bytes_max: usize) -> Arc<Self> {
        let reading = Mutex::default();
        Arc::new(Self { bytes_max, reading })
    }

    pub(crate) fn begin(self: &Arc<Self>) -> UnfinishedBody {
        let signal = Arc::new(Signal::default());
        let mut reading = self.reading.lock();
        let number = reading.next_number;
        reading.next_number += 1;
        let entry = Entry {
            bytes: 0,
            signal: Arc::clone(&signal),
        };
        reading.entries.insert(number, entry);
        UnfinishedBody {
            bodies: Arc::clone(self),
            number,
            signal,
        }
    }
}

impl UnfinishedBody {
    /// Counts more bytes of the body. Ends the bodies that began first if all together hold too much.
    pub(crate) fn add(&self, bytes: usize) {
        let mut reading = self.bodies.reading.lock();
        let Some(entry) = reading.entries.get_mut(&self.number) else {
            return;
        };
        entry.bytes += bytes;
        reading.bytes += bytes;
        let mut ended = Vec::new();
        while reading.bytes > self.bodies.bytes_max
            // One alone may take more, as far as the budget goes.
            && reading.entries.len() > 1
            && let Some((_, oldest)) = reading.entries.pop_first()
        {
            reading.bytes -= oldest.bytes;
            ended.push(oldest.signal);
        }
        drop(reading);
        for signal in ended {
            signal.must_end.store(true, Ordering::SeqCst);
            if let Some(waker) = signal.waker.lock().take() {
                waker.wake();
            }
        }
    }

    /// Returns whether the body must end. Otherwise `waker` is woken when it must.
    pub(crate) fn must_end(&self, waker: &Waker) -> bool {
        if !self.signal.must_end.load(Ordering::SeqCst) {
            *self.signal.waker.lock() = Some(waker.clone());
        }
        self.signal.must_end.load(Ordering::SeqCst)
    }
}

impl Drop for UnfinishedBody {
    fn drop(&mut self) {
        let mut reading = self.bodies.reading.lock();
        if let Some(entry) = reading.entries.remove(&self.number) {
            reading.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_that_began_first_ends_when_all_hold_too_much() {
        let bodies = Bodies::new(1_000);
        let all = [(); 4].map(|()| bodies.begin());
        let must_end = || all.each_ref().map(|body| body.must_end(Waker::noop()));
        for body in &all {
            body.add(250);
        }
        assert_eq!(must_end(), [false; 4]);
        all[3].add(300);
        assert_eq!(must_end(), [true, true, false, false]);
        // What has ended counts no longer.
        all[0].add(1_000);
        all[2].add(200);
        assert_eq!(must_end(), [true, true, false, false]);
        drop(all);
        assert_eq!(bodies.reading.lock().bytes, 0);
    }

    #[test]
    fn a_body_alone_may_take_more_until_the_next_begins() {
        let bodies = Bodies::new(1_000);
        let large = bodies.begin();
        large.add(1_001);
        assert!(!large.must_end(Waker::noop()));
        let next = bodies.begin();
        next.add(1);
        assert!(large.must_end(Waker::noop()));
        assert!(!next.must_end(Waker::noop()));
    }
}
