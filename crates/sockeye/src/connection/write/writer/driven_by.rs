//! Who drives a connection, and how that task or worker is woken.

use std::{sync::Arc, task::Waker};

use crate::connection::{
    mailbox::{Mailbox, Note},
    write::writer::Writer,
};

/// The task or worker that drives the connection, and is woken when something other than the socket asks for
/// it.
pub(crate) enum DrivenBy {
    Nobody,
    /// Boxed, so that a worker's record stays small.
    Task(Box<Waker>),
    Worker {
        mailbox: Arc<Mailbox>,
        place: u32,
    },
}

impl DrivenBy {
    /// Returns the waker for a stream's `poll_` methods. A worker's poller needs none.
    pub(super) fn stream_waker(&self) -> &Waker {
        match self {
            Self::Task(waker) => waker,
            Self::Nobody | Self::Worker { .. } => Waker::noop(),
        }
    }
}

impl Writer {
    /// Sets the waker of the task that drives this connection.
    pub(crate) fn set_task(&mut self, waker: &Waker) {
        self.driven_by = DrivenBy::Task(waker.clone().into());
    }

    /// Sets the worker that drives this connection.
    pub(crate) fn set_worker(&mut self, mailbox: Arc<Mailbox>, place: u32) {
        self.driven_by = DrivenBy::Worker { mailbox, place };
    }

    /// Wakes the driver for something other than the socket.
    pub(crate) fn wake_driver(&self) {
        match &self.driven_by {
            DrivenBy::Nobody => {}
            DrivenBy::Task(waker) => waker.wake_by_ref(),
            DrivenBy::Worker { mailbox, place } => mailbox.post(Note::Look(*place)),
        }
    }

    /// Returns a waker of the driver.
    pub(crate) fn waker(&self) -> Waker {
        match &self.driven_by {
            DrivenBy::Nobody => Waker::noop().clone(),
            DrivenBy::Task(waker) => (**waker).clone(),
            DrivenBy::Worker { mailbox, place } => Mailbox::waker(mailbox, *place),
        }
    }
}
