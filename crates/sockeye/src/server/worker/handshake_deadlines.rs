//! Whose first request is awaited.

use std::collections::VecDeque;

use tokio::time::Instant;

/// Whose first request is awaited, and until when. All are given the same time, so that it is a queue
/// with one timer for the first of it. A timer for each would stay for the whole time, though most
/// requests are here within a millisecond: 24 bytes of each connection of the last ten seconds.
///
/// Nobody is taken out: whoever looks at the first sees whether it has gone.
#[derive(Debug, Default)]
pub(crate) struct HandshakeDeadlines {
    /// The earliest deadline first.
    queue: VecDeque<Waiting>,
    /// Whether a timer is armed for the first, or for one that was first.
    is_watched: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) place: u32,
    pub(crate) deadline: Instant,
}

/// Places that an empty lobby may keep: 1.5 KiB.
const SPARE_PLACES: usize = 64;

impl HandshakeDeadlines {
    /// Lets one more in. When a timer must fire, if none is armed.
    pub(crate) fn enter(&mut self, waiting: Waiting) -> Option<Instant> {
        self.queue.push_back(waiting);
        self.watch()
    }

    pub(crate) fn first(&self) -> Option<Waiting> {
        self.queue.front().copied()
    }

    /// The first doesn't wait any more.
    pub(crate) fn forget_first(&mut self) {
        self.queue.pop_front();
        if self.queue.is_empty() && self.queue.capacity() > SPARE_PLACES {
            self.queue = VecDeque::new();
        }
    }

    /// The timer has fired, and all that are late are forgotten. When it must fire again.
    pub(crate) fn handle_timer(&mut self) -> Option<Instant> {
        self.is_watched = false;
        self.watch()
    }

    fn watch(&mut self) -> Option<Instant> {
        let first = self.first().filter(|_| !self.is_watched)?;
        self.is_watched = true;
        Some(first.deadline)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_timer_watches_over_all_and_an_empty_lobby_keeps_little() {
        let begin = Instant::now();
        let waiting = |place: u32| Waiting {
            place,
            deadline: begin + Duration::from_millis(u64::from(place)),
        };
        let mut handshake_deadlines = HandshakeDeadlines::default();
        assert_eq!(handshake_deadlines.enter(waiting(0)), Some(begin));
        for place in 1..1000 {
            assert_eq!(handshake_deadlines.enter(waiting(place)), None);
        }
        for place in 0..500 {
            assert_eq!(handshake_deadlines.first(), Some(waiting(place)));
            handshake_deadlines.forget_first();
        }
        assert_eq!(
            handshake_deadlines.handle_timer(),
            Some(waiting(500).deadline)
        );
        for _ in 500..1000 {
            handshake_deadlines.forget_first();
        }
        assert_eq!(handshake_deadlines.first(), None);
        assert_eq!(handshake_deadlines.queue.capacity(), 0);
        assert_eq!(handshake_deadlines.handle_timer(), None);
        assert_eq!(
            handshake_deadlines.enter(waiting(7)),
            Some(waiting(7).deadline)
        );
    }
}
