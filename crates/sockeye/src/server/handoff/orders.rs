//! What the server asks of a worker.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::{
    connection::{Mailbox, Session},
    server::{farewell::Farewell, handoff::handoff::Handoff},
};

/// What the server asks of a worker, which looks for it whenever it looks into its mailbox.
///
/// As many as there are connections that were accepted elsewhere and wait for the worker, and a few.
pub(crate) struct Orders {
    /// `None` once the worker has gone.
    queue: Mutex<Option<Vec<Order>>>,
    mailbox: Arc<Mailbox>,
}

pub(crate) enum Order {
    /// A connection that was accepted elsewhere.
    TakeOver(Box<Handoff>),
    /// Who comes from now on is told goodbye. And who is here?
    Farewell {
        farewell: Box<Farewell>,
        /// Gets those who are here; without it they are told goodbye at once.
        roll: Option<oneshot::Sender<Vec<Session>>>,
    },
    /// The server's phase has changed.
    Phase,
}

impl Orders {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Self {
        Self {
            queue: Mutex::new(Some(Vec::new())),
            mailbox,
        }
    }

    /// If the worker has gone the order is dropped.
    pub(crate) fn post(&self, order: Order) {
        match &mut *self.lock() {
            Some(queue) => queue.push(order),
            None => return,
        }
        self.mailbox.notify();
    }

    /// Takes all orders, once the mailbox says that the worker was notified.
    pub(crate) fn take(&self) -> Vec<Order> {
        self.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The worker goes: nobody carries out orders any more.
    pub(crate) fn close(&self) {
        // Dropped after the lock: an endpoint that never began may have something to say to others.
        let _orders = self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Order>>> {
        // Nothing panics while it holds the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
