//! The work that a connection still has to do.

use std::{sync::Arc, time::Duration};

use sockeye_proto::ProtocolError;
use tokio::time::Instant;

use crate::{
    connection::{fan_out::Slice, io::Outbound},
    memory::Holding,
};

/// The longest time that the answer to a Close frame, or to a broken rule, waits for the program to answer
/// the messages before it. Browsers give a server 2 s.
const GRACE: Duration = Duration::from_secs(1);

/// The work that a connection still has to do, and what it holds. A calm connection has no `PendingWork`.
#[derive(Default)]
pub(crate) struct PendingWork {
    /// Input that came while the sink had no room: `pending[handled..]`, still masked. Empty once all is
    /// handled.
    pub(crate) pending: Vec<u8>,
    /// 0 <= handled <= pending.len()
    pub(crate) handled: usize,
    /// The Close frame to send once the program has answered the messages before its cause.
    pub(crate) owed: Option<Owed>,
    /// The end of the time for closing; set when this end has sent its Close frame.
    pub(crate) deadline: Option<Instant>,
    /// The slice for whose room reading waits: the endpoint has sent a group more than its members could be
    /// given.
    pub(crate) backlog: Option<Arc<Slice>>,
    /// The bytes that wait because the socket takes no more.
    pub(crate) write_stall: Option<WriteStall>,
    /// Whether the program has panicked in a callback.
    pub(crate) has_panicked: bool,
    /// Whether there is work that no event will announce.
    pub(crate) has_more: bool,
    /// Charges the bytes that the connection holds for its peer, except those that wait to be written. `None`
    /// if they are few.
    pub(crate) holding: Option<Holding>,
}

/// Bytes that wait because the socket takes no more.
pub(crate) struct WriteStall {
    /// When the next check is due, if the socket takes none until then.
    pub(crate) due: Instant,
    /// What was known at the last check.
    pub(crate) before: Option<Outbound>,
}

/// A Close frame that this end has to send.
pub(crate) struct Owed {
    pub(crate) cause: Cause,
    /// When it is sent even if the program has not answered.
    pub(crate) due: Instant,
}

/// Why the Close frame has to be sent.
#[derive(Clone, Copy)]
pub(crate) enum Cause {
    /// The peer has sent a Close frame.
    PeerClosed,
    /// The peer has broken a rule.
    Broken(ProtocolError),
}

impl PendingWork {
    pub(crate) fn is_empty(&self) -> bool {
        self.holding.is_none() && !self.is_pressing()
    }

    /// Returns whether there is any work but reading.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_pressing() || self.holding.as_ref().is_some_and(Holding::needs_driver)
    }

    fn is_pressing(&self) -> bool {
        self.has_more
            || !self.pending.is_empty()
            || self.owed.is_some()
            || self.deadline.is_some()
            || self.write_stall.is_some()
            || self.backlog.is_some()
            || self.has_panicked
    }
}

impl Owed {
    pub(crate) fn new(cause: Cause) -> Self {
        Self {
            cause,
            due: Instant::now() + GRACE,
        }
    }
}
