//! Numbers to which many threads add.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// Numbers that only grow. Each thread adds to one set of cells, which it seldom shares with another thread, so that
/// cores don't wait for each other's cache lines.
pub(crate) struct Cells(Box<[Box<[AtomicU64]>]>);

/// Sets of cells. More threads than that share them, which costs time and no count.
const SETS: usize = 16;

impl Cells {
    pub(crate) fn new(len: usize) -> Self {
        let set = |_| (0..len).map(|_| AtomicU64::new(0)).collect();
        Self((0..SETS).map(set).collect())
    }

    pub(crate) fn add(&self, at: usize, by: u64) {
        self.0[own_set()][at].fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn sum(&self, at: usize) -> u64 {
        let cells = self.0.iter().map(|set| set[at].load(Ordering::Relaxed));
        cells.fold(0, u64::wrapping_add)
    }
}

/// Returns the set of this thread: threads take them in turn.
fn own_set() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % SETS);
        }
        own.get()
    })
}
