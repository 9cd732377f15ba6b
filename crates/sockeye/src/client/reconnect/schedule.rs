//! When to dial again and when to give up: a pure function of time and a random number.

use std::time::Duration;

use sockeye_proto::Backoff;

/// When to dial again and when to give up. Times are since an origin that the caller picks.
///
/// ```text
///            handle_opened                      handle_lost, after uptime_min: failures = 0
///   dialling ─────────────> open ─────────────────────────────────────────────────┐
///      ^ │                   │ handle_lost, earlier: failures + 1                 │
///      │ │ handle_lost: failures + 1                                              │
///      │ └───────────────────┴──────────────> waiting <───────────────────────────┘
///      │                                       │   │ attempts_max, elapsed_max
///      └───────────────────────────────────────┘   └──────────────────────────────> given up
/// ```
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    config: ScheduleConfig,
    /// Attempts in a row without a connection that lasted.
    failures: u32,
    /// `Some` while a connection is open.
    opened_at: Option<Duration>,
    /// The end of the last connection that lasted, or the start.
    away_since: Duration,
}

/// The numbers of a policy.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScheduleConfig {
    pub(super) backoff: Backoff,
    pub(super) uptime_min: Duration,
    pub(super) attempts_max: Option<u32>,
    pub(super) elapsed_max: Option<Duration>,
    pub(super) hint_max: Duration,
}

impl Schedule {
    pub(super) fn new(config: ScheduleConfig, now: Duration) -> Self {
        Self {
            config,
            failures: 0,
            opened_at: None,
            away_since: now,
        }
    }

    /// Handles the success of an attempt.
    pub(super) fn handle_opened(&mut self, now: Duration) {
        self.opened_at = Some(now);
    }

    /// Handles the failure of an attempt or the end of the connection. Returns the wait before the next attempt: `hint`
    /// plus a random time, since clients with the same hint would otherwise reconnect all at once. Returns `None` to
    /// give up.
    pub(super) fn handle_lost(
        &mut self,
        now: Duration,
        hint: Option<Duration>,
        random: u64,
    ) -> Option<Duration> {
        let uptime = self.opened_at.take().map(|at| now.saturating_sub(at));
        if uptime.is_some_and(|uptime| uptime >= self.config.uptime_min) {
            self.failures = 0;
            self.away_since = now;
        } else {
            self.failures = self.failures.saturating_add(1);
        }
        if self
            .config
            .attempts_max
            .is_some_and(|max| self.failures >= max)
        {
            return None;
        }
        let hint = hint.unwrap_or_default().min(self.config.hint_max);
        let delay = hint + self.config.backoff.delay(self.failures, random);
        let away = now.saturating_sub(self.away_since).saturating_add(delay);
        match self.config.elapsed_max {
            Some(max) if away > max => None,
            _ => Some(delay),
        }
    }
}

#[cfg(test)]
mod tests;
