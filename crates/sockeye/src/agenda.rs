//! What a connection still has to do.

use std::{sync::Arc, time::Duration};

use sockeye_proto::ProtocolError;
use tokio::time::Instant;

use crate::{doubt::Outbound, group::Slice};

/// How long the answer to a Close frame, or to a broken rule, may wait for the program to answer the
/// messages before it. Browsers give a server 2 s.
const GRACE: Duration = Duration::from_secs(1);

/// What a connection still has to do; a calm one has no agenda.
#[derive(Default)]
pub(crate) struct Agenda {
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
    pub(crate) stall: Option<Stall>,
    /// Whether the program has panicked in a callback.
    pub(crate) has_panicked: bool,
}

/// Bytes that wait because the transport takes no more.
pub(crate) struct Stall {
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

impl Agenda {
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
            && self.owed.is_none()
            && self.deadline.is_none()
            && self.stall.is_none()
            && self.backlog.is_none()
            && !self.has_panicked
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
