//! How many messages the server's own endpoints have received.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use sockeye::{Endpoint, Message, Reply, Session};

/// A count to which all threads add. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received(Arc<[Part; PARTS]>);

/// The count of some threads. It has cache lines of its own (128 bytes: a line, and the one that is fetched with it), so
/// that threads with other parts don't wait for it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part(AtomicU64);

impl Received {
    /// Returns the endpoint, whose messages are counted from now on.
    pub(crate) fn counted<E>(&self, endpoint: E) -> Counted<E> {
        let received = self.clone();
        Counted { endpoint, received }
    }

    pub(crate) fn total(&self) -> u64 {
        let parts = self.0.iter().map(|part| part.0.load(Ordering::Relaxed));
        parts.sum()
    }

    fn add(&self) {
        self.0[own_part()].0.fetch_add(1, Ordering::Relaxed);
    }
}

/// An endpoint whose messages are counted.
pub(crate) struct Counted<E> {
    endpoint: E,
    received: Received,
}

impl<E: Endpoint> Endpoint for Counted<E> {
    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        self.received.add();
        self.endpoint.on_message(session, message)
    }

    fn wrapped(&mut self) -> Option<&mut dyn Endpoint> {
        Some(&mut self.endpoint)
    }
}

/// Returns the part of this thread: threads take them in turn.
fn own_part() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % PARTS);
    }
    OWN.with(Cell::get)
}

/// More threads than that share parts, which costs time and no count.
const PARTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_threads_add_is_counted() {
        let received = Received::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * PARTS {
                scope.spawn(|| (0..1000).for_each(|_| received.add()));
            }
        });
        assert_eq!(received.total(), 2 * PARTS as u64 * 1000);
    }
}
