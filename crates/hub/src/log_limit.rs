//! A limit for log lines that clients can cause as often as they like.

use std::time::Duration;

use parking_lot::Mutex;

/// The limit of one kind of log line: one for each [`INTERVAL`], which says how many were left out.
#[derive(Debug, Default)]
pub(crate) struct LogLimit(Mutex<LogLimitState>);

#[derive(Debug, Default)]
struct LogLimitState {
    /// When the last line was written, by the clock of the caller.
    logged: Option<Duration>,
    /// Lines left out since then.
    suppressed: u64,
}

/// Time between two lines of one kind. A person can read that many.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);

impl LogLimit {
    /// Returns how many lines were left out since the last one, if a line may be written now; else counts this one.
    pub(crate) fn due(&self, now: Duration) -> Option<u64> {
        let mut state = self.0.lock();
        let is_early = |logged| now.saturating_sub(logged) < INTERVAL;
        if state.logged.is_some_and(is_early) {
            state.suppressed += 1;
            return None;
        }
        state.logged = Some(now);
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_written_and_the_next_one_tells_how_many_were_not() {
        let limit = LogLimit::default();
        let start = Duration::from_secs(7);
        assert_eq!(limit.due(start), Some(0));
        assert_eq!(limit.due(start), None);
        assert_eq!(limit.due(start + INTERVAL / 2), None);
        assert_eq!(limit.due(start + INTERVAL), Some(2));
        assert_eq!(limit.due(start + INTERVAL), None);
    }
}
