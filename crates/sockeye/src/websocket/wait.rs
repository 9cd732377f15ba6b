//! One wait of a task for what comes next.

use std::{
    cell::Cell,
    pin::pin,
    task::Context,
    time::{Duration, Instant},
};

use tokio::task::yield_now;

use crate::connection::BusyPoll;

/// One of so many sleeps is measured: the clock costs more than all else that is decided here.
const SLEEPS_PER_MEASURE: u8 = 8;

thread_local! {
    /// Since when a task of this thread spins, if one does. One is enough: while it spins the thread doesn't sleep, so
    /// that the others have what comes for them as soon.
    static SPINS_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// What is known of the waits of one connection's tasks.
#[derive(Default)]
pub(crate) struct Lulls {
    busy_poll: BusyPoll,
    /// Sleeps until one is measured again.
    unmeasured: u8,
}

/// One wait of a task for what comes next: it spins for a while, if that has paid so far, and sleeps then.
#[derive(Default)]
pub(crate) enum Wait {
    /// It doesn't wait.
    #[default]
    None,
    /// It spins since then: it comes back as soon as its thread has looked at all sockets.
    Spinning(Instant),
    /// It sleeps since then.
    Sleeping(Instant),
    /// It sleeps, and nobody measures for how long.
    Unmeasured,
}

impl Wait {
    /// Nothing has come. A spin lasts for `spin_max`.
    pub(crate) fn handle_nothing(
        &mut self,
        lulls: &mut Lulls,
        spin_max: Duration,
        cx: &mut Context<'_>,
    ) {
        match self {
            Self::None => *self = lulls.begin(spin_max),
            Self::Spinning(began) if began.elapsed() >= spin_max => {
                lulls.busy_poll.handle_vain();
                *self = Self::Unmeasured;
            }
            _ => {}
        }
        if let Self::Spinning(_) = self {
            // Pending, with the waker where the runtime finds it behind its sockets.
            let _ = pin!(yield_now()).poll(cx);
        }
    }

    /// Something has come.
    #[inline]
    pub(crate) fn handle_found(&mut self, lulls: &mut Lulls, spin_max: Duration) {
        match std::mem::take(self) {
            Self::Spinning(began) => {
                SPINS_SINCE.set(None);
                lulls.busy_poll.handle_spin(began.elapsed(), spin_max);
            }
            Self::Sleeping(began) => lulls.busy_poll.handle_sleep(began.elapsed(), spin_max),
            Self::None | Self::Unmeasured => {}
        }
    }
}

impl Lulls {
    fn begin(&mut self, spin_max: Duration) -> Wait {
        if spin_max.is_zero() {
            return Wait::Unmeasured;
        }
        if self.busy_poll.spins() {
            let now = Instant::now();
            // Its time ends also if it was cancelled, or went on elsewhere.
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
