//! What the server asks of a worker.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::{
    connection::{Mailbox, Note, Session},
    server::{closing_notice::ClosingNotice, handoff::handoff::Handoff},
};

/// The orders for one worker, which it takes when it finds [`Note::Orders`] in its mailbox.
///
/// The queue holds one order for each connection on its way to the worker, which the server's connection limit
/// bounds, and a few for the server's phases.
pub(crate) struct Orders {
    /// `None` once the worker has ended.
    queue: Mutex<Option<Vec<Order>>>,
    mailbox: Arc<Mailbox>,
}

pub(crate) enum Order {
    /// Serve a connection that tokio has accepted.
    Serve(Box<Handoff>),
    /// Close every session that opens from now on with this notice.
    Close {
        closing_notice: Box<ClosingNotice>,
        /// Receives the open sessions. Without it the worker closes them at once.
        open_sessions: Option<oneshot::Sender<Vec<Session>>>,
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

    /// Adds an order and wakes the worker. The order is dropped if the worker has ended.
    pub(crate) fn post(&self, order: Order) {
        match &mut *self.lock() {
            Some(queue) => queue.push(order),
            None => return,
        }
        self.mailbox.post(Note::Orders);
    }

    /// Takes all orders. Several notes may stand for orders that were taken with the first.
    pub(crate) fn take(&self) -> Vec<Order> {
        self.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Drops all orders, now and from now on, because the worker has ended.
    pub(crate) fn close(&self) {
        // Dropped after the lock is released: the drop of an endpoint that never began may post orders.
        let _orders = self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Order>>> {
        // No holder of the lock panics.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
