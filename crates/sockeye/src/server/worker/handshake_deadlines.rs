//! The deadlines of connections whose first request has not come.

use std::collections::VecDeque;

use tokio::time::Instant;

/// The deadlines of connections whose first request has not come. All have the same time, so this is a queue with one
/// timer for its first entry. A timer for each connection would stay in the wheel for the whole time, although most
/// requests come within a millisecond: 24 bytes for each connection of the last ten seconds.
///
/// An entry stays when its request has come. The worker checks the first entry and removes it then.
#[derive(Debug, Default)]
pub(crate) struct HandshakeDeadlines {
    /// The earliest deadline is first.
    queue: VecDeque<HandshakeDeadline>,
    /// Whether the timer is armed: for the first entry, or for an earlier one that was removed.
    is_armed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HandshakeDeadline {
    pub(crate) slot: u32,
    pub(crate) deadline: Instant,
}

/// Entries whose memory an empty queue may keep: 1.5 KiB.
const SPARE_ENTRIES: usize = 64;

impl HandshakeDeadlines {
    /// Adds a deadline. Returns when the timer must fire, if it is not armed.
    pub(crate) fn push(&mut self, waiting: HandshakeDeadline) -> Option<Instant> {
        self.queue.push_back(waiting);
        self.arm()
    }

    pub(crate) fn first(&self) -> Option<HandshakeDeadline> {
        self.queue.front().copied()
    }

    /// Removes the first entry.
    pub(crate) fn pop_first(&mut self) {
        self.queue.pop_front();
        if self.queue.is_empty() && self.queue.capacity() > SPARE_ENTRIES {
            self.queue = VecDeque::new();
        }
    }

    /// Handles the timer, once all late entries are removed. Returns when it must fire again.
    pub(crate) fn handle_timer(&mut self) -> Option<Instant> {
        self.is_armed = false;
        self.arm()
    }

    fn arm(&mut self) -> Option<Instant> {
        let first = self.first().filter(|_| !self.is_armed)?;
        self.is_armed = true;
        Some(first.deadline)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_timer_serves_all_and_an_empty_queue_keeps_little() {
        let begin = Instant::now();
        let waiting = |slot: u32| HandshakeDeadline {
            slot,
            deadline: begin + Duration::from_millis(u64::from(slot)),
        };
        let mut handshake_deadlines = HandshakeDeadlines::default();
        assert_eq!(handshake_deadlines.push(waiting(0)), Some(begin));
        for slot in 1..1000 {
            assert_eq!(handshake_deadlines.push(waiting(slot)), None);
        }
        for slot in 0..500 {
            assert_eq!(handshake_deadlines.first(), Some(waiting(slot)));
            handshake_deadlines.pop_first();
        }
        assert_eq!(
            handshake_deadlines.handle_timer(),
            Some(waiting(500).deadline)
        );
        for _ in 500..1000 {
            handshake_deadlines.pop_first();
        }
        assert_eq!(handshake_deadlines.first(), None);
        assert_eq!(handshake_deadlines.queue.capacity(), 0);
        assert_eq!(handshake_deadlines.handle_timer(), None);
        assert_eq!(
            handshake_deadlines.push(waiting(7)),
            Some(waiting(7).deadline)
        );
    }
}
