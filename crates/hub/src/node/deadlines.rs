//! When which client has to be called.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::node::{client::Client, compact_time::Moment};

/// The clients that wait for a time. A client has one entry, or few if it was in a hurry meanwhile.
#[derive(Default)]
pub(crate) struct Deadlines {
    heap: Mutex<BinaryHeap<Reverse<Deadline>>>,
    /// Told when the first deadline has moved forward.
    pub(crate) moved: Notify,
}

struct Deadline {
    due: Moment,
    client: Weak<Client>,
}

impl Deadlines {
    pub(crate) fn add(&self, due: Moment, client: &Arc<Client>) {
        let mut heap = self.heap.lock();
        let is_first = heap.peek().is_none_or(|Reverse(first)| due < first.due);
        heap.push(Reverse(Deadline {
            due,
            client: Arc::downgrade(client),
        }));
        drop(heap);
        if is_first {
            self.moved.notify_one();
        }
    }

    /// Returns a client that is due.
    pub(crate) fn pop(&self, now: Duration) -> Option<Weak<Client>> {
        let mut heap = self.heap.lock();
        match heap.peek() {
            Some(Reverse(first)) if first.due.elapsed() <= now => {}
            _ => return None,
        }
        heap.pop().map(|Reverse(deadline)| deadline.client)
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        self.heap
            .lock()
            .peek()
            .map(|Reverse(first)| first.due.elapsed())
    }
}

impl Ord for Deadline {
    fn cmp(&self, other: &Self) -> Ordering {
        self.due.cmp(&other.due)
    }
}

impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Deadline {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Deadline {}
