//! One session on a worker.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use sockeye_proto::CloseCode;
use tokio::time::Instant;

use crate::{
    connection::{
        DriveOutcome, Driver, Mailbox, Permit, Session, ShortRead, Sink as _, Slice, buffers,
    },
    endpoint::{self, Answering, Endpoint},
    server::{handoff::Handoff, stats::Stats},
};

/// One session on a worker: its endpoint, and what drives it.
pub(crate) struct ActiveSession {
    driver: Driver,
    endpoint: Box<dyn Endpoint>,
    #[expect(dead_code, reason = "held for its drop")]
    permit: Permit,
}

/// Whether a session is counted as open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Yes,
    No,
}

impl ActiveSession {
    /// Begins a session at `place`. What it has to say waits for the first [`ActiveSession::drive`].
    pub(crate) fn begin(
        handoff: Handoff,
        mailbox: Arc<Mailbox>,
        place: u32,
        stats: &Stats,
    ) -> Option<Self> {
        let Handoff {
            established,
            response,
            endpoint,
            permit,
        } = handoff;
        let heartbeat = established.negotiated.settings.app_heartbeat.as_ref();
        let endpoint = Answering::wrap(endpoint, heartbeat);
        let driver = match Driver::new(established) {
            Ok(driver) => driver,
            Err(error) => {
                tracing::error!(%error, "a WebSocket could not begin");
                return None;
            }
        };
        {
            let mut writer = driver.session().shared().lock_in_order();
            writer.set_worker(mailbox, place);
            // The response, what the endpoint says first, and its first answers go out together.
            writer.set_cork(crate::connection::Cork::Batch);
            writer.send_head_of_stream(&response);
        }
        stats.handle_open();
        Some(Self {
            driver,
            endpoint,
            permit,
        })
    }

    /// The first call of the endpoint.
    pub(crate) fn open(&mut self, stats: &Stats) -> Poll<DriveOutcome> {
        let (endpoint, session) = (&mut self.endpoint, self.driver.session());
        let opened = catch_unwind(AssertUnwindSafe(|| endpoint::open(endpoint, session)));
        match opened {
            Ok(()) => Poll::Ready(DriveOutcome::Over),
            Err(_) => self.handle_panic(Counted::Yes, stats),
        }
    }

    /// Writes the response and what the endpoint has said. Whether there is nothing else to do.
    pub(crate) fn say_first(&mut self) -> bool {
        let mut writer = self.session().shared().lock_in_order();
        writer.uncork();
        writer.is_calm() && !self.driver.is_busy()
    }

    pub(crate) fn session(&self) -> &Session {
        self.driver.session()
    }

    #[inline]
    pub(crate) fn has_alarm(&self) -> bool {
        self.driver.is_busy() || self.driver.is_unfinished()
    }

    /// When it wants to be driven, even if nothing happens.
    pub(crate) fn timer(&self) -> Option<Instant> {
        let timer = self.driver.timer().into_iter();
        timer.chain(self.driver.message_look()).min()
    }

    /// Works until nothing more can be done now. A panic of the endpoint's ends its session with 1011,
    /// and no other.
    #[inline]
    pub(crate) fn drive(
        &mut self,
        lent: &mut buffers::ReadBuffers,
        short_read: ShortRead,
        stats: &Stats,
    ) -> Poll<DriveOutcome> {
        let counted = self.counted();
        let (driver, endpoint) = (&mut self.driver, &mut self.endpoint);
        let driven = catch_unwind(AssertUnwindSafe(|| {
            if let Some(turn) = driver.poll_turns(endpoint, lent, short_read) {
                return turn;
            }
            let mut cx = Context::from_waker(Waker::noop());
            driver.poll_drive(&mut cx, endpoint, lent, short_read)
        }));
        let Ok(turn) = driven else {
            self.driver.take_replies(&mut lent.framed);
            return self.handle_panic(counted, stats);
        };
        self.driver.settle_held(&self.endpoint);
        if self.driver.has_ended() {
            self.count_out(counted, stats);
        }
        turn
    }

    /// It isn't read from until `slice` has room again. Then it must be driven.
    pub(crate) fn hold(&mut self, slice: Arc<Slice>) {
        self.driver.hold(slice);
    }

    /// When [`ActiveSession::keep_vigil`] is due, if ever, for somebody who has looked just now.
    pub(crate) fn vigil_due(&self, now: Instant) -> Option<Instant> {
        self.driver.timeout_due(now)
    }

    /// Looks at what no event tells of, after [`ActiveSession::drive`] has.
    pub(crate) fn keep_vigil(&mut self, now: Instant, stats: &Stats) -> Poll<DriveOutcome> {
        let counted = self.counted();
        let (driver, endpoint) = (&mut self.driver, &mut self.endpoint);
        let kept = catch_unwind(AssertUnwindSafe(|| driver.handle_timeout(now, endpoint)));
        if kept.is_err() {
            return self.handle_panic(counted, stats);
        }
        if self.driver.has_ended() {
            self.count_out(counted, stats);
        }
        match self.driver.is_done() {
            true => Poll::Ready(DriveOutcome::Done),
            false => Poll::Pending,
        }
    }

    /// Ends it without ceremony.
    pub(crate) fn cut(&mut self, stats: &Stats) {
        let counted = self.counted();
        self.driver.break_off(CloseCode::GOING_AWAY);
        let (driver, endpoint) = (&mut self.driver, &mut self.endpoint);
        let aborted = catch_unwind(AssertUnwindSafe(|| driver.abort(endpoint)));
        if aborted.is_err() {
            self.endpoint.handle_panic();
            self.driver.abort(&mut self.endpoint);
        }
        self.count_out(counted, stats);
    }

    /// The endpoint has panicked. `counted`: before it did.
    #[cold]
    fn handle_panic(&mut self, counted: Counted, stats: &Stats) -> Poll<DriveOutcome> {
        self.driver.handle_panic(&mut self.endpoint);
        if self.driver.has_ended() {
            self.count_out(counted, stats);
        }
        Poll::Ready(match self.driver.is_done() {
            true => DriveOutcome::Done,
            false => DriveOutcome::Over,
        })
    }

    /// Whether it is counted as open: it is until it is known how it ends.
    #[inline]
    fn counted(&self) -> Counted {
        match self.driver.has_ended() {
            false => Counted::Yes,
            true => Counted::No,
        }
    }

    /// It has ended; once, though it is called at each look at its end.
    fn count_out(&self, counted: Counted, stats: &Stats) {
        if counted == Counted::Yes {
            stats.handle_end(self.session().ending());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_session_is_small() {
        // Ten thousand idle ones are this and what the handle shares, and nothing else. Without deflate and
        // groups a session owns no other memory.
        assert!(size_of::<ActiveSession>() <= 104);
    }
}
