//! A limit for log lines that others can cause.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lets one line of a kind through in an interval, and counts the others.
#[derive(Debug)]
pub(crate) struct LineLimit {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the last line was written.
    logged: Option<Instant>,
    /// Lines left out since then.
    unlogged: u64,
}

impl LineLimit {
    pub(crate) const fn every(interval: Duration) -> Self {
        Self {
            interval,
            state: Mutex::new(State {
                logged: None,
                unlogged: 0,
            }),
        }
    }

    /// Returns how many lines were left out since the last one, if a line may be written now.
    pub(crate) fn due(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        let is_due = state
            .logged
            .is_none_or(|logged| now.saturating_duration_since(logged) >= self.interval);
        if !is_due {
            state.unlogged += 1;
            return None;
        }
        state.logged = Some(now);
        Some(std::mem::take(&mut state.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_an_interval_is_written_and_the_others_are_counted() {
        let interval = Duration::from_secs(1);
        let limit = LineLimit::every(interval);
        let start = Instant::now();
        assert_eq!(limit.due(start), Some(0));
        assert_eq!(limit.due(start), None);
        assert_eq!(limit.due(start + interval / 2), None);
        assert_eq!(limit.due(start + interval), Some(2));
        assert_eq!(limit.due(start + interval), None);
    }
}
