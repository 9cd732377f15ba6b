//! How a task waits in `recv`: it spins, or it sleeps.

use std::{
    cell::Cell,
    pin::pin,
    task::Context,
    time::{Duration, Instant},
};

use tokio::task::yield_now;

use crate::connection::BusyPoll;

/// One of so many sleeps is measured. Reading the clock costs more than everything else here.
const SLEEPS_PER_MEASURE: u8 = 8;

thread_local! {
    /// Since when a task of this thread spins, if one does. One is enough: its thread doesn't sleep meanwhile, so the
    /// thread's other tasks are woken as soon as if they spun.
    static SPINS_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// What the earlier waits of one connection tell about the next.
#[derive(Default)]
pub(crate) struct WaitStats {
    busy_poll: BusyPoll,
    /// Sleeps until one is measured again.
    unmeasured: u8,
}

/// One wait of a task. It spins for a while if spinning has paid so far, and then sleeps.
///
/// ```text
///              handle_nothing                 handle_nothing, after spin_max
///          ┌────────────────────> Spinning ──────────────────────────────┐
///          │                                                             v
///   None ──┼─ handle_nothing, every 8th sleep ──> Sleeping          Unmeasured
///    ^     │                                                             ^
///    │     └─────────────── handle_nothing ──────────────────────────────┘
///    └── handle_found, from each of the three
/// ```
#[derive(Default)]
pub(crate) enum Wait {
    /// The task doesn't wait.
    #[default]
    None,
    /// The task spins since then. The runtime polls it again as soon as it has polled the sockets.
    Spinning(Instant),
    /// The task sleeps since then.
    Sleeping(Instant),
    /// The task sleeps, for a time that isn't measured.
    Unmeasured,
}

impl Wait {
    /// Begins or continues the wait: nothing has come. A spin lasts for `spin_max`.
    pub(crate) fn handle_nothing(
        &mut self,
        stats: &mut WaitStats,
        spin_max: Duration,
        cx: &mut Context<'_>,
    ) {
        match self {
            Self::None => *self = stats.begin(spin_max),
            Self::Spinning(began) if began.elapsed() >= spin_max => {
                stats.busy_poll.handle_vain();
                *self = Self::Unmeasured;
            }
            _ => {}
        }
        if let Self::Spinning(_) = self {
            // Pending. The runtime polls the sockets before it polls a task that has yielded.
            let _ = pin!(yield_now()).poll(cx);
        }
    }

    /// Ends the wait: something has come.
    #[inline]
    pub(crate) fn handle_found(&mut self, stats: &mut WaitStats, spin_max: Duration) {
        match std::mem::take(self) {
            Self::Spinning(began) => {
                SPINS_SINCE.set(None);
                stats.busy_poll.handle_spin(began.elapsed(), spin_max);
            }
            Self::Sleeping(began) => stats.busy_poll.handle_sleep(began.elapsed(), spin_max),
            Self::None | Self::Unmeasured => {}
        }
    }
}

impl WaitStats {
    fn begin(&mut self, spin_max: Duration) -> Wait {
        if spin_max.is_zero() {
            return Wait::Unmeasured;
        }
        if self.busy_poll.spins() {
            let now = Instant::now();
            // A spin that was cancelled, or whose task moved to another thread, ends by time.
            let spins = |since| now.duration_since(since) < spin_max;
            if SPINS_SINCE.get().is_some_and(spins) {
                return Wait::Unmeasured;
            }
            SPINS_SINCE.set(Some(now));
            return Wait::Spinning(now);
        }
        match self.unmeasured.checked_sub(1) {
            Some(rest) => {
                self.unmeasured = rest;
                Wait::Unmeasured
            }
            None => {
                self.unmeasured = SLEEPS_PER_MEASURE - 1;
                Wait::Sleeping(Instant::now())
            }
        }
    }
}
