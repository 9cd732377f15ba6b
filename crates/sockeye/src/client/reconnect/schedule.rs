//! When to dial again, and when not any more: a pure function of the time and a random number.

use std::time::Duration;

use sockeye_proto::Backoff;

/// When to dial again. Times are since an origin that the driver picks.
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
    terms: Terms,
    /// Attempts in a row that have led to no connection, or to none that lasted.
    failures: u32,
    /// `Some` while open.
    opened_at: Option<Duration>,
    /// Since when there has been no connection that lasted.
    away_since: Duration,
}

/// The numbers of a policy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) backoff: Backoff,
    pub(super) uptime_min: Duration,
    pub(super) attempts_max: Option<u32>,
    pub(super) elapsed_max: Option<Duration>,
    pub(super) hint_max: Duration,
}

impl Schedule {
    pub(super) fn new(terms: Terms, now: Duration) -> Self {
        Self {
            terms,
            failures: 0,
            opened_at: None,
            away_since: now,
        }
    }

    /// An attempt has led to a connection.
    pub(super) fn handle_opened(&mut self, now: Duration) {
        self.opened_at = Some(now);
    }

    /// An attempt has failed, or the connection is gone. Says how long to wait before the next attempt:
    /// at least `hint`, and then a random time, or those who were given the same hint would all come at
    /// once. `None`: no more attempts.
    pub(super) fn handle_lost(
        &mut self,
        now: Duration,
        hint: Option<Duration>,
        random: u64,
    ) -> Option<Duration> {
        let uptime = self.opened_at.take().map(|at| now.saturating_sub(at));
        if uptime.is_some_and(|uptime| uptime >= self.terms.uptime_min) {
            self.failures = 0;
            self.away_since = now;
        } else {
            self.failures = self.failures.saturating_add(1);
        }
        if self
            .terms
            .attempts_max
            .is_some_and(|max| self.failures >= max)
        {
            return None;
        }
        let hint = hint.unwrap_or_default().min(self.terms.hint_max);
        let delay = hint + self.terms.backoff.delay(self.failures, random);
        let away = now.saturating_sub(self.away_since).saturating_add(delay);
        match self.terms.elapsed_max {
            Some(max) if away > max => None,
            _ => Some(delay),
        }
    }
}

#[cfg(test)]
mod tests;
