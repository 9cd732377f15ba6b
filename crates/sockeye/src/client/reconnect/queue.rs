//! What becomes of messages that are sent while there is no connection.

use std::time::Duration;

/// What becomes of messages that are sent while there is no connection: they wait, bounded, in order,
/// and go out first when there is one again.
///
/// By default 256 messages and 1 MiB of payload wait for as long as it takes, and what doesn't fit
/// is refused.
///
/// Nothing is lost without a word: what is refused comes back from `send`, what was taken and is given up
/// comes back as an [`crate::reconnect::Event::Dropped`]. While nobody fetches those, they count:
/// when as many wait as the queue may hold, it refuses too.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Queue {
    pub(super) overflow: Overflow,
    pub(super) messages_max: usize,
    pub(super) bytes_max: usize,
    pub(super) time_to_live: Option<Duration>,
}

/// Who goes when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overflow {
    Reject,
    DropOldest,
}

impl Queue {
    /// A full queue refuses: `send` gives the message back. The default; for orders, which somebody
    /// has to know about.
    pub fn reject_when_full() -> Self {
        Self {
            overflow: Overflow::Reject,
            messages_max: 256,
            bytes_max: 1 << 20,
            time_to_live: None,
        }
    }

    /// A full queue gives up its oldest message for the new one. For readings and positions, of which
    /// the last ones count.
    pub fn drop_oldest() -> Self {
        Self {
            overflow: Overflow::DropOldest,
            ..Self::reject_when_full()
        }
    }

    /// No queue: `send` gives the message back while there is no connection.
    pub fn none() -> Self {
        Self::reject_when_full().messages_max(0)
    }

    /// How many messages wait. Default 256.
    pub fn messages_max(mut self, messages: usize) -> Self {
        self.messages_max = messages;
        self
    }

    /// How many bytes of payload wait. A larger message is refused. Default 1 MiB.
    pub fn bytes_max(mut self, bytes: usize) -> Self {
        self.bytes_max = bytes;
        self
    }

    /// How long a message waits before it is given up. Default: as long as it takes.
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
