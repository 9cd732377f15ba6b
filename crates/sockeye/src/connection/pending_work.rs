//! What a connection still has to do.

use std::{sync::Arc, time::Duration};

use sockeye_proto::ProtocolError;
use tokio::time::Instant;

use crate::{
    connection::{fan_out::Slice, io::Outbound},
    memory::Holding,
};

/// How long the answer to a Close frame, or to a broken rule, may wait for the program to answer the
/// messages before it. Browsers give a server 2 s.
const GRACE: Duration = Duration::from_secs(1);

/// What a connection still has to do, and what it holds; a calm one has no agenda.
#[derive(Default)]
pub(crate) struct PendingWork {
    /// Input that came while nobody had room for what is in it: `pending[handled..]`, still masked.
    /// Empty once all is handled.
    pub(crate) pending: Vec<u8>,
    /// 0 <= handled <= pending.len()
    pub(crate) handled: usize,
    /// Our Close frame, held back until the program has answered what came before its cause.
    pub(crate) owed: Option<Owed>,
    /// When the time for closing is over; known from our Close frame on.
    pub(crate) deadline: Option<Instant>,
    /// Until when it isn't read from: its endpoint has sent a group more than its members could be given.
    pub(crate) backlog: Option<Arc<Slice>>,
    /// What waits because the transport takes no more.
    pub(crate) write_stall: Option<WriteStall>,
    /// Whether the program has panicked in a callback.
    pub(crate) has_panicked: bool,
    /// Whether there is something to do of which no event may tell.
    pub(crate) has_more: bool,
    /// What the connection holds for its peer, but for what waits to be written; nothing, if that is little.
    pub(crate) holding: Option<Holding>,
}

/// Bytes that wait because the transport takes no more.
pub(crate) struct WriteStall {
    /// When it is looked at again, if none are taken until then.
    pub(crate) due: Instant,
    /// What was known when it was looked at last.
    pub(crate) before: Option<Outbound>,
}

/// A Close frame that is owed to the peer.
pub(crate) struct Owed {
    pub(crate) cause: Cause,
    /// When the program has had its time.
    pub(crate) due: Instant,
}

/// Why it is owed.
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

    /// Whether there is anything to do but to read.
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
