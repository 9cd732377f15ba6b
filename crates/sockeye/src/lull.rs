//! One wait of a task for what comes next.

use std::{
    cell::Cell,
    pin::pin,
    task::Context,
    time::{Duration, Instant},
};

use tokio::task::yield_now;

use crate::busy_poll::BusyPoll;

/// One of so many sleeps is measured: the clock costs more than all else that is decided here.
const SLEEPS_PER_MEASURE: u8 = 8;

thread_local! {
    /// Since when a task of this thread looks, if one does. One is enough: while it looks the thread doesn't sleep, so
    /// that the others have what comes for them as soon.
    static LOOKS_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// What is known of the waits of one connection's tasks.
#[derive(Default)]
pub(crate) struct Lulls {
    busy_poll: BusyPoll,
    /// Sleeps until one is measured again.
    unmeasured: u8,
}

/// One wait of a task for what comes next: it looks for a while, if that has paid so far, and sleeps then.
#[derive(Default)]
pub(crate) enum Lull {
    /// It doesn't wait.
    #[default]
    None,
    /// It looks since then: it comes back as soon as its thread has looked at all sockets.
    Looking(Instant),
    /// It sleeps since then.
    Sleeping(Instant),
    /// It sleeps, and nobody measures for how long.
    Unmeasured,
}

impl Lull {
    /// Nothing has come. A look lasts for `look_max`.
    pub(crate) fn handle_nothing(
        &mut self,
        lulls: &mut Lulls,
        look_max: Duration,
        cx: &mut Context<'_>,
    ) {
        match self {
            Self::None => *self = lulls.begin(look_max),
            Self::Looking(began) if began.elapsed() >= look_max => {
                lulls.busy_poll.handle_vain();
                *self = Self::Unmeasured;
            }
            _ => {}
        }
        if let Self::Looking(_) = self {
            // Pending, with the waker where the runtime finds it behind its sockets.
            let _ = pin!(yield_now()).poll(cx);
        }
    }

    /// Something has come.
    #[inline]
    pub(crate) fn handle_found(&mut self, lulls: &mut Lulls, look_max: Duration) {
        match std::mem::take(self) {
            Self::Looking(began) => {
                LOOKS_SINCE.set(None);
                lulls.busy_poll.handle_look(began.elapsed(), look_max);
            }
            Self::Sleeping(began) => lulls.busy_poll.handle_sleep(began.elapsed(), look_max),
            Self::None | Self::Unmeasured => {}
        }
    }
}

impl Lulls {
    fn begin(&mut self, look_max: Duration) -> Lull {
        if look_max.is_zero() {
            return Lull::Unmeasured;
        }
        if self.busy_poll.looks() {
            let now = Instant::now();
            // Its time ends also if it was cancelled, or went on elsewhere.
            let looks = LOOKS_SINCE.get().map(|since| now.duration_since(since));
            if looks.is_some_and(|looks| looks < look_max) {
                return Lull::Unmeasured;
            }
            LOOKS_SINCE.set(Some(now));
            return Lull::Looking(now);
        }
        match self.unmeasured.checked_sub(1) {
            Some(rest) => {
                self.unmeasured = rest;
                Lull::Unmeasured
            }
            None => {
                self.unmeasured = SLEEPS_PER_MEASURE - 1;
                Lull::Sleeping(Instant::now())
            }
        }
    }
}
