//! The events of a reconnecting client.

use std::time::Duration;

use crate::{Message, client::reconnect::outage::Outage, connection::Session};

/// An event of a reconnecting client, from [`crate::reconnect::Reconnecting::next`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A connection is open, the first or a new one. The client missed what the server sent since the last one ended,
    /// and can ask for it now. The session is that of this connection: what is sent through it overtakes the queue, and
    /// fails after this connection has ended.
    Connected(Session),
    /// A message came.
    Message(Message<'static>),
    /// The connection was lost, or an attempt has failed.
    Disconnected {
        /// How the connection ended, or why the attempt failed.
        closed: Outage,
        /// The time until the next attempt, counted from the loss. `None` if there will be no other attempt: then only
        /// [`Event::Dropped`] can follow.
        retry_in: Option<Duration>,
    },
    /// A message that waited in the queue was dropped.
    Dropped(Dropped),
}

/// A message that waited in the queue and was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// The message, which no connection has sent.
    pub message: Message<'static>,
    /// Why it was dropped.
    pub reason: Reason,
}

/// Why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A newer message took its place: [`crate::reconnect::Queue::drop_oldest`].
    Displaced,
    /// The message waited too long: [`crate::reconnect::Queue::time_to_live`].
    Expired,
    /// There will be no connection any more.
    Ended,
}
