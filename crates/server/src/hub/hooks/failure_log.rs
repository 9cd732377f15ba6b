//! The log lines of a hook that fails, which can be often.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Logs failures, one line a second at most, so that an application that is down doesn't fill the log.
#[derive(Default)]
pub(super) struct FailureLog(Mutex<Gate>);

#[derive(Default)]
struct Gate {
    /// When the last line was written.
    logged: Option<Instant>,
    /// Failures since then.
    unlogged: u64,
}

/// Shortest time between two lines.
const INTERVAL: Duration = Duration::from_secs(1);

impl FailureLog {
    pub(super) fn write(&self, hook: &str, endpoint: &str, reason: &str) {
        if let Some(unlogged) = self.0.lock().pass(Instant::now()) {
            tracing::warn!(
                hook,
                endpoint,
                reason,
                unlogged,
                "the application can't be asked"
            );
        }
    }
}

impl Gate {
    /// Counts a failure. Returns how many before it were not logged, if it is to be logged itself.
    fn pass(&mut self, now: Instant) -> Option<u64> {
        let is_due = self
            .logged
            .is_none_or(|logged| now.duration_since(logged) >= INTERVAL);
        if !is_due {
            self.unlogged += 1;
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_a_second_is_logged_and_the_others_are_counted() {
        let mut gate = Gate::default();
        let start = Instant::now();
        assert_eq!(gate.pass(start), Some(0));
        assert_eq!(gate.pass(start), None);
        assert_eq!(gate.pass(start + INTERVAL / 2), None);
        assert_eq!(gate.pass(start + INTERVAL), Some(2));
        assert_eq!(gate.pass(start + INTERVAL), None);
    }
}
