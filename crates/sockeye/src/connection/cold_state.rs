//! The state that a session rarely has, kept apart so that an idle session is small.

use std::{collections::VecDeque, io, sync::Arc};

use sockeye_proto::{CloseCode, Message};

use crate::{
    closed::{Closed, EndCause, Side},
    connection::{
        fan_out::{Memberships, SlowReaderClose},
        sent::Sent,
        waiters::Waiters,
    },
    handshake::Request,
};

/// The state that a session rarely has. A calm session has none of it, and no `ColdState`. A member of a group has one for
/// as long as it is a member, so what members rarely have is apart once more.
#[derive(Default)]
pub(crate) struct ColdState {
    /// The request that opened the session, until it isn't needed any more.
    pub(crate) request: Option<Arc<Request>>,
    pub(crate) memberships: Memberships,
    /// How the session is closed if it reads too slowly for its groups, if one of them has its own way. Of no use
    /// without a membership.
    pub(crate) slow_reader: Option<Arc<SlowReaderClose>>,
    rare: Option<Box<RareState>>,
}

/// What waits until something was sent, and how the session ends.
#[derive(Default)]
pub(crate) struct RareState {
    /// What was sent, if the program wants to know: then this state stays, which costs memory, but a session that isn't
    /// counted has not a byte for it.
    pub(crate) sent: Option<Sent>,
    /// Messages to send after the one that is being sent in parts.
    pub(crate) deferred: VecDeque<Message<'static>>,
    /// The sum of the deferred payloads and headers.
    pub(crate) deferred_bytes: usize,
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
    pub(crate) fn of_request(request: Arc<Request>) -> Self {
        Self {
            request: Some(request),
            ..Self::default()
        }
    }

    /// Returns whether every part is empty, so that it can be dropped.
    pub(crate) fn is_empty(&self) -> bool {
        self.request.is_none()
            && self.memberships.is_empty()
            && self.rare.as_ref().is_none_or(|rare| rare.is_empty())
    }

    /// Returns what members of groups rarely have, creating it if this session has none.
    pub(crate) fn rare(&mut self) -> &mut RareState {
        self.rare.get_or_insert_default()
    }

    /// Returns what members of groups rarely have, if this session has it.
    pub(crate) fn known_rare(&self) -> Option<&RareState> {
        self.rare.as_deref()
    }

    /// Returns what was sent, if it is counted.
    #[inline]
    pub(crate) fn sent(&mut self) -> Option<&mut Sent> {
        self.rare.as_mut()?.sent.as_mut()
    }

    /// Drops what is rarely there if all of it is empty.
    pub(crate) fn tidy(&mut self) {
        self.rare.take_if(|rare| rare.is_empty());
    }

    /// Takes the reason of the failure; `None` if the peer has sent a Close frame before it.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        let rare = self.rare.as_mut()?;
        rare.failure.take_if(|_| rare.received.is_none())
    }

    /// Takes the messages that waited for the end of the one in parts.
    pub(crate) fn take_deferred(&mut self) -> VecDeque<Message<'static>> {
        let Some(rare) = &mut self.rare else {
            return VecDeque::new();
        };
        rare.deferred_bytes = 0;
        std::mem::take(&mut rare.deferred)
    }

    /// Wakes the tasks that wait for room.
    pub(crate) fn wake_waiting(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.waiting.wake();
        }
    }
}

impl RareState {
    fn is_empty(&self) -> bool {
        self.sent.is_none()
            && self.deferred.is_empty()
            && self.waiting.is_empty()
            && self.watching.is_empty()
            && self.ending.is_none()
            && self.received.is_none()
            && self.failure.is_none()
            && self.end_cause.is_none()
            && self.closed.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_of_a_group_has_little_more_than_its_membership() {
        // With the eight bytes that glibc's allocator adds these are 80, a size of it.
        assert!(size_of::<ColdState>() <= 72);
    }
}
