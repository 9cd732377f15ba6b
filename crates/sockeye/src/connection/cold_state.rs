//! What a session has only now and then, kept apart so that a calm one is small.

use std::{collections::VecDeque, io, sync::Arc};

use sockeye_proto::{CloseCode, Message};

use crate::{
    closed::{Closed, EndCause, Side},
    connection::{fan_out::Memberships, sent::Sent, waiters::Waiters},
    handshake::Request,
};

/// What a session has only now and then. A calm one has none of it, and no annex.
#[derive(Default)]
pub(crate) struct ColdState {
    /// The request that opened it, until it isn't needed any more.
    pub(crate) request: Option<Arc<Request>>,
    pub(crate) memberships: Memberships,
    /// Messages that came while another was being sent in parts.
    pub(crate) deferred: VecDeque<Message<'static>>,
    /// The sum of their payloads and headers.
    pub(crate) deferred_bytes: usize,
    /// What was sent, if the program wants to know: then this state stays, which costs memory, but a session that isn't
    /// counted has not a byte for it.
    pub(crate) sent: Option<Sent>,
    /// Who waits for room in the outbox, or for the end of a message in parts.
    pub(crate) waiting: Waiters,
    /// Who waits until it is over.
    pub(crate) watching: Waiters,
    /// Who ended it first, and how.
    pub(crate) ending: Option<(Side, CloseCode, String)>,
    pub(crate) received: Option<CloseCode>,
    pub(crate) failure: Option<io::Error>,
    /// Why time has ended it.
    pub(crate) end_cause: Option<EndCause>,
    pub(crate) closed: Option<Closed>,
}

impl ColdState {
    /// Whether nothing in it would be missed.
    pub(crate) fn is_empty(&self) -> bool {
        self.request.is_none()
            && self.memberships.is_empty()
            && self.deferred.is_empty()
            && self.sent.is_none()
            && self.waiting.is_empty()
            && self.watching.is_empty()
            && self.ending.is_none()
            && self.received.is_none()
            && self.failure.is_none()
            && self.end_cause.is_none()
            && self.closed.is_none()
    }

    pub(crate) fn drop_deferred(&mut self) {
        self.deferred = VecDeque::new();
        self.deferred_bytes = 0;
    }
}
