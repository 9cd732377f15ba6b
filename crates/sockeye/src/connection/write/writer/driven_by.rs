//! Who drives a connection, and how that task or worker is woken.

use std::{
    sync::Arc,
    task::{Context, Waker},
};

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

impl Writer {
    /// Sets the waker that drives this connection; a worker's is never replaced.
    #[inline]
    pub(crate) fn set_driver(&mut self, cx: &Context<'_>) {
        self.paused = false;
        match &mut self.driven_by {
            DrivenBy::Worker { .. } => {}
            DrivenBy::Task(waker) => (**waker).clone_from(cx.waker()),
            DrivenBy::Nobody => self.driven_by = DrivenBy::Task(cx.waker().clone().into()),
        }
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
