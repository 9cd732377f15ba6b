//! Entered pings, and their round trip times.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sockeye::Session;

/// Entered pings without a pong. Cheap to clone: the sender and the observer of control frames share them.
#[derive(Clone, Default)]
pub(super) struct Pings(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    /// The oldest first; at most [`PINGS_MAX`].
    pings: VecDeque<Ping>,
    /// How many pings were sent without a text.
    numbered: u64,
}

struct Ping {
    payload: Vec<u8>,
    sent_at: Instant,
}

impl Pings {
    /// Sends a ping. One without a text carries a number, so that its pong is told from others.
    pub(super) fn send(&self, session: &Session, text: &[u8]) {
        let payload = self.lock().add(text, Instant::now());
        // The reader reports the end of the connection.
        let _ = session.ping(&payload);
    }

    /// Removes the ping that this pong answers, and returns the time since it was sent.
    pub(super) fn answered(&self, payload: &[u8]) -> Option<Duration> {
        self.lock().answered(payload, Instant::now())
    }

    /// Removes all pings, since a new connection doesn't answer them.
    pub(super) fn forget(&self) {
        self.lock().pings.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn add(&mut self, text: &[u8], sent_at: Instant) -> Vec<u8> {
        let payload = if text.is_empty() {
            self.numbered += 1;
            self.numbered.to_string().into_bytes()
        } else {
            text.to_vec()
        };
        if self.pings.len() == PINGS_MAX {
            self.pings.pop_front();
        }
        self.pings.push_back(Ping {
            payload: payload.clone(),
            sent_at,
        });
        payload
    }

    fn answered(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        let index = self.pings.iter().position(|ping| ping.payload == payload)?;
        // RFC 6455 section 5.5.3: a peer may answer only the last of several pings, so these get no pong.
        let ping = self.pings.drain(..=index).next_back()?;
        Some(now.saturating_duration_since(ping.sent_at))
    }
}

/// Most pings without a pong; beyond it the oldest is dropped. More than a person types within a round trip.
const PINGS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_is_matched_by_its_payload_and_once() {
        let (mut waiting, start) = (Waiting::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(waiting.add(b"", at(0)), b"1");
        assert_eq!(waiting.add(b"", at(10)), b"2");
        assert_eq!(waiting.add(b"you", at(20)), b"you");
        assert_eq!(waiting.answered(b"heartbeat", at(25)), None);
        assert_eq!(
            waiting.answered(b"2", at(30)),
            Some(Duration::from_millis(20))
        );
        assert_eq!(waiting.answered(b"2", at(30)), None);
        // The peer has skipped it.
        assert_eq!(waiting.answered(b"1", at(30)), None);
        assert_eq!(
            waiting.answered(b"you", at(35)),
            Some(Duration::from_millis(15))
        );
    }

    #[test]
    fn unanswered_pings_are_bounded() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        for _ in 0..=PINGS_MAX {
            waiting.add(b"", now);
        }
        assert_eq!(waiting.pings.len(), PINGS_MAX);
        assert_eq!(waiting.answered(b"1", now), None);
    }
}
