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

#[cfg(test)]
mod tests {
    use std::{sync::Arc as StdArc, task::Wake};

    use loom::{
        sync::{Arc, Mutex, Notify},
        thread,
    };

    use super::*;

    /// A task that waits for room.
    struct Task(Notify);

    impl Wake for Task {
        fn wake(self: StdArc<Self>) {
            self.0.notify();
        }
    }

    /// An outbox with room for so many messages, and the tasks that wait for room.
    #[derive(Default)]
    struct Outbox {
        room: u32,
        waiting: Waiters,
    }

    /// Sends as `Session::send` does: tries, and waits if there is no room.
    fn send(outbox: &Mutex<Outbox>) {
        let task = StdArc::new(Task(Notify::new()));
        let waker = Waker::from(StdArc::clone(&task));
        let mut ticket = Ticket::default();
        loop {
            let mut outbox = outbox.lock().unwrap();
            if outbox.room > 0 {
                outbox.room -= 1;
                return outbox.waiting.remove(&mut ticket);
            }
            outbox.waiting.wait(&mut ticket, &waker);
            drop(outbox);
            task.0.wait();
        }
    }

    #[test]
    fn no_task_waits_while_there_is_room() {
        // A lost wake-up would leave a task waiting for ever, which loom reports as a deadlock.
        loom::model(|| {
            let outbox = Arc::new(Mutex::new(Outbox::default()));
            let senders = [(); 2].map(|()| {
                let outbox = Arc::clone(&outbox);
                thread::spawn(move || send(&outbox))
            });
            for _ in 0..2 {
                let mut outbox = outbox.lock().unwrap();
                outbox.room += 1;
                outbox.waiting.wake();
            }
            for sender in senders {
                sender.join().unwrap();
            }
            assert!(outbox.lock().unwrap().waiting.is_empty());
        });
    }

    #[test]
    fn a_task_that_gives_up_leaves_nothing_behind() {
        let mut waiters = Waiters::default();
        let (mut first, mut second) = (Ticket::default(), Ticket::default());
        waiters.wait(&mut first, Waker::noop());
        waiters.wait(&mut first, Waker::noop());
        waiters.wait(&mut second, Waker::noop());
        assert_eq!(waiters.waiting.len(), 2);
        waiters.remove(&mut first);
        assert_eq!(waiters.waiting.len(), 1);
        waiters.remove(&mut second);
        assert!(waiters.is_empty());
    }
}
