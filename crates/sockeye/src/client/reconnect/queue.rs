//! The options of the queue for messages that are sent without a connection.

use std::time::Duration;

/// What happens to messages that are sent without a connection. They wait in order in a bounded queue, and are sent
/// first on the next connection.
///
/// By default up to 256 messages and 1 MiB of payload wait without a time limit, and a message that doesn't fit
/// is refused.
///
/// No message is lost silently. `send` returns a message that is refused, and a message that waited and is dropped
/// comes back as [`crate::reconnect::Event::Dropped`]. Dropped messages that the program hasn't fetched count
/// as well: the queue refuses when it holds as many of them as it may hold messages.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Queue {
    pub(super) overflow: Overflow,
    pub(super) messages_max: usize,
    pub(super) bytes_max: usize,
    pub(super) time_to_live: Option<Duration>,
}

/// Which message makes room in a full queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overflow {
    Reject,
    DropOldest,
}

impl Queue {
    /// Makes a queue that refuses a message when it is full: `send` returns it. The default, for messages that must not
    /// get lost, such as orders.
    pub fn reject_when_full() -> Self {
        Self {
            overflow: Overflow::Reject,
            messages_max: 256,
            bytes_max: 1 << 20,
            time_to_live: None,
        }
    }

    /// Makes a queue that drops its oldest message for a new one when it is full. For messages of which the last ones
    /// count, such as readings and positions.
    pub fn drop_oldest() -> Self {
        Self {
            overflow: Overflow::DropOldest,
            ..Self::reject_when_full()
        }
    }

    /// Makes no queue: `send` returns the message when there is no connection.
    pub fn none() -> Self {
        Self::reject_when_full().messages_max(0)
    }

    /// Sets how many messages can wait. Default 256.
    pub fn messages_max(mut self, messages: usize) -> Self {
        self.messages_max = messages;
        self
    }

    /// Sets how many bytes of payload can wait. A larger message is refused. Default 1 MiB.
    pub fn bytes_max(mut self, bytes: usize) -> Self {
        self.bytes_max = bytes;
        self
    }

    /// Sets how long a message waits before it is dropped. Default: no limit.
    pub fn time_to_live(mut self, time: Duration) -> Self {
        self.time_to_live = Some(time);
        self
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self::reject_when_full()
    }
}
