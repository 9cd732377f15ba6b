//! What happens to a connection that comes back.

use std::time::Duration;

use crate::{Message, client::reconnect::outage::Outage, connection::Session};

/// What happens to a connection that comes back.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// There is a connection, the first or a new one. What the server sent since the last one ended
    /// was missed: now is the time to ask for it. The session is this connection's alone: what is sent by
    /// it overtakes the queue, and fails when this connection is gone.
    Connected(Session),
    /// A message came.
    Message(Message<'static>),
    /// The connection is gone, or an attempt has failed.
    Disconnected {
        /// How it ended, or why it didn't begin.
        closed: Outage,
        /// How long until the next attempt, counted from the loss; `None` if there will be none, then
        /// this is the last event but those of messages given up.
        retry_in: Option<Duration>,
    },
    /// A message that waited in the queue is given up, and here it is.
    Dropped(Dropped),
}

/// A message that waited in the queue and was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// The message, never handed to a connection.
    pub message: Message<'static>,
    /// Why.
    pub reason: Reason,
}

/// Why a message was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A newer one needed its place: [`crate::reconnect::Queue::drop_oldest`].
    Displaced,
    /// It waited too long: [`crate::reconnect::Queue::time_to_live`].
    Expired,
    /// There will be no connection any more.
    Ended,
}
