//! A list of tasks that wait for one event.

use std::task::Waker;

/// A list of tasks that wait for one event. A task is in it from its ticket's first use until it is woken or
/// removes itself. A task that gives up, as in a `select!`, leaves nothing behind.
#[derive(Default)]
pub(crate) struct Waiters {
    waiting: Vec<(u64, Waker)>,
    /// The number of the last ticket.
    next: u64,
}

/// A task's number in the list; empty until it is used.
#[derive(Debug, Default)]
pub(crate) struct Ticket(Option<u64>);

impl Waiters {
    /// Registers `waker` for the next [`Waiters::wake`].
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

    /// Removes the ticket's waker.
    pub(crate) fn remove(&mut self, ticket: &mut Ticket) {
        if let Some(number) = ticket.0.take() {
            self.waiting.retain(|(known, _)| *known != number);
            if self.waiting.is_empty() {
                self.waiting = Vec::new();
            }
        }
    }

    /// Returns whether no task waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Wakes all tasks.
    pub(crate) fn wake(&mut self) {
        for (_, waker) in self.waiting.drain(..) {
            waker.wake();
        }
    }
}
