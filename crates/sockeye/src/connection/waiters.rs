//! Tasks that wait for one thing.

use std::task::Waker;

/// Tasks that wait for one thing, each from its ticket's first use until it is woken or strikes
/// itself out. Holds no more entries than there are tasks waiting: one that gives up, as a `select!` does,
/// leaves nothing behind.
#[derive(Default)]
pub(crate) struct Waiters {
    waiting: Vec<(u64, Waker)>,
    /// The next ticket's number.
    next: u64,
}

/// A place among the waiters; empty until it is used.
#[derive(Debug, Default)]
pub(crate) struct Ticket(Option<u64>);

impl Waiters {
    /// Wakes `waker` next time.
    pub(crate) fn wait(&mut self, ticket: &mut Ticket, waker: &Waker) {
        let number = *ticket.0.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        match self.waiting.iter_mut().find(|(known, _)| *known == number) {
            Some((_, known)) => known.clone_from(waker),
            None => self.waiting.push((number, waker.clone())),
        }
    }

    /// Forgets the ticket's waker.
    pub(crate) fn remove(&mut self, ticket: &mut Ticket) {
        if let Some(number) = ticket.0.take() {
            self.waiting.retain(|(known, _)| *known != number);
            if self.waiting.is_empty() {
                self.waiting = Vec::new();
            }
        }
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Wakes all.
    pub(crate) fn wake(&mut self) {
        for (_, waker) in self.waiting.drain(..) {
            waker.wake();
        }
    }
}
