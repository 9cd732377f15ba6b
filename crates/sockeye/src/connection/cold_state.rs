//! The state that a session rarely has, kept apart so that an idle session is small.

use std::{collections::VecDeque, io, sync::Arc};

use sockeye_proto::{CloseCode, Message};

use crate::{
    closed::{Closed, EndCause, Side},
    connection::{fan_out::Memberships, sent::Sent, waiters::Waiters},
    handshake::Request,
};

/// The state that a session rarely has. A calm session has none of it, and no `ColdState`.
#[derive(Default)]
pub(crate) struct ColdState {
    /// The request that opened the session, until it isn't needed any more.
    pub(crate) request: Option<Arc<Request>>,
    pub(crate) memberships: Memberships,
    /// How the session is closed if it reads too slowly for its groups, if one of them has its own way. Of no use
    /// without a membership.
    pub(crate) slow_reader: Option<(CloseCode, &'static str)>,
    /// Messages to send after the one that is being sent in parts.
    pub(crate) deferred: VecDeque<Message<'static>>,
    /// The sum of the deferred payloads and headers.
    pub(crate) deferred_bytes: usize,
    /// What was sent, if the program wants to know: then this state stays, which costs memory, but a session that isn't
    /// counted has not a byte for it.
    pub(crate) sent: Option<Sent>,
    /// Tasks that wait for room in the outbox, or for the end of a message in parts.
    pub(crate) waiting: Waiters,
    /// Tasks that wait until the session has ended.
    pub(crate) watching: Waiters,
    /// The side that ended the session first, with code and reason.
    pub(crate) ending: Option<(Side, CloseCode, String)>,
    pub(crate) received: Option<CloseCode>,
    pub(crate) failure: Option<io::Error>,
    /// The timeout or memory limit that has ended the session.
    pub(crate) end_cause: Option<EndCause>,
    pub(crate) closed: Option<Closed>,
}

impl ColdState {
    /// Returns whether every part is empty, so that it can be dropped.
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
