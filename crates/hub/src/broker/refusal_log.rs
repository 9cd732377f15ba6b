//! The log lines about what a limit of the broker refuses, which clients can cause as often as they like.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::broker::BrokerError;

/// Logs refusals, one line for each [`INTERVAL`] at most.
#[derive(Default)]
pub(crate) struct RefusalLog(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    /// When the last line was written.
    written: Option<Duration>,
    /// Refusals since then.
    left_out: u64,
}

/// Time between two lines. A person can read that many.
const INTERVAL: Duration = Duration::from_secs(10);

impl RefusalLog {
    /// Logs a refusal if a line is due.
    pub(crate) fn write(&self, error: &BrokerError, now: Duration) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left_out) = lines.due(now) {
            tracing::warn!(%error, left_out, "the broker refuses what it can't keep");
        }
    }
}

impl Lines {
    /// Counts a refusal. Returns how many before it were left out, if it is to be logged itself.
    fn due(&mut self, now: Duration) -> Option<u64> {
        if self.written.is_some_and(|written| now < written + INTERVAL) {
            self.left_out += 1;
            return None;
        }
        self.written = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_refusal_is_logged_and_the_next_line_tells_how_many_were_not() {
        let mut lines = Lines::default();
        let start = Duration::from_secs(7);
        assert_eq!(lines.due(start), Some(0));
        assert_eq!(lines.due(start), None);
        assert_eq!(lines.due(start + INTERVAL / 2), None);
        assert_eq!(lines.due(start + INTERVAL), Some(2));
        assert_eq!(lines.due(start + INTERVAL), None);
    }
}
