//! A session on a worker.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Poll,
};

use sockeye_proto::CloseCode;
use tokio::time::Instant;

use crate::{
    connection::{
        DriveOutcome, Driver, Mailbox, NextWork, Permit, Session, ShortRead, Sink as _, Slice,
        buffers,
    },
    endpoint::{self, Answering, Endpoint},
    server::{handoff::Handoff, stats::Stats},
};

/// A session on a worker: its endpoint, and the driver of its connection.
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
    /// Begins a session in `slot`. What its writer holds waits for the first [`ActiveSession::drive`].
    pub(crate) fn begin(
        handoff: Handoff,
        mailbox: Arc<Mailbox>,
        slot: u32,
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
                tracing::error!(error = %error.report(), "a WebSocket could not begin");
                return None;
            }
        };
        {
            let mut writer = driver.session().shared().lock_in_order();
            writer.set_worker(mailbox, slot);
            // The response, what the endpoint sends first, and its first answers leave in one write.
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

    /// Calls the endpoint's `on_open`.
    pub(crate) fn open(&mut self, stats: &Stats) -> Poll<DriveOutcome> {
        let (endpoint, session) = (&mut self.endpoint, self.driver.session());
        let opened = catch_unwind(AssertUnwindSafe(|| endpoint::open(endpoint, session)));
        match opened {
            Ok(()) => Poll::Ready(DriveOutcome::Over),
            Err(_) => self.handle_panic(Counted::Yes, stats),
        }
    }

    /// Writes the response and what the endpoint has sent. Returns whether nothing else is left to do.
    pub(crate) fn flush_opening(&mut self) -> bool {
        let mut writer = self.session().shared().lock_in_order();
        writer.uncork();
        writer.is_calm() && !self.driver.is_busy()
    }

    pub(crate) fn session(&self) -> &Session {
        self.driver.session()
    }

    #[inline]
    pub(crate) fn may_need_timer(&self) -> bool {
        self.driver.is_busy() || self.driver.is_unfinished()
    }

    /// Returns when the session has to be driven, even without an event.
    pub(crate) fn timer(&self) -> Option<Instant> {
        let timer = self.driver.timer().into_iter();
        timer.chain(self.driver.message_look()).min()
    }

    /// Drives the session until nothing more can be done now. A panic of the endpoint closes its session with 1011,
    /// and no other session.
    #[inline]
    pub(crate) fn drive(
        &mut self,
        read_buffers: &mut buffers::ReadBuffers,
        short_read: ShortRead,
        stats: &Stats,
    ) -> Poll<DriveOutcome> {
        let (driver, endpoint) = (&mut self.driver, &mut self.endpoint);
        let turned = catch_unwind(AssertUnwindSafe(|| {
            driver.poll_turn(endpoint, read_buffers, short_read)
        }));
        match turned {
            Ok(Poll::Pending) => {
                self.driver.settle_held(&self.endpoint);
                Poll::Pending
            }
            Ok(Poll::Ready(next_work)) => self.drive_on(next_work, read_buffers, short_read, stats),
            Err(_) => self.handle_panic_in_turn(self.counted(), read_buffers, stats),
        }
    }

    #[inline(never)]
    fn drive_on(
        &mut self,
        next_work: NextWork,
        read_buffers: &mut buffers::ReadBuffers,
        short_read: ShortRead,
        stats: &Stats,
    ) -> Poll<DriveOutcome> {
        let counted = self.counted();
        let (driver, endpoint) = (&mut self.driver, &mut self.endpoint);
        let driven = catch_unwind(AssertUnwindSafe(|| {
            driver.poll_on(next_work, endpoint, read_buffers, short_read)
        }));
        let Ok(outcome) = driven else {
            return self.handle_panic_in_turn(counted, read_buffers, stats);
        };
        self.driver.settle_held(&self.endpoint);
        if self.driver.has_ended() {
            self.count_end(counted, stats);
        }
        outcome
    }

    /// Stops reading from the peer until `slice` has room again. Then the session must be driven.
    pub(crate) fn hold(&mut self, slice: Arc<Slice>) {
        self.driver.hold(slice);
    }

    /// Returns when [`ActiveSession::check_watchdog`] is due, if it was called just now.
    pub(crate) fn watchdog_due(&self, now: Instant) -> Option<Instant> {
        self.driver.timeout_due(now)
    }

    /// Checks the deadlines of the connection. Call [`ActiveSession::drive`] before it.
    pub(crate) fn check_watchdog(&mut self, now: Instant, stats: &Stats) -> Poll<DriveOutcome> {
        let counted = self.counted();
        let (driver, endpoint) = (&mut self.driver, &mut self.endpoint);
        let checked = catch_unwind(AssertUnwindSafe(|| driver.handle_timeout(now, endpoint)));
        if checked.is_err() {
            return self.handle_panic(counted, stats);
        }
        if self.driver.has_ended() {
            self.count_end(counted, stats);
        }
        match self.driver.is_done() {
            true => Poll::Ready(DriveOutcome::Done),
            false => Poll::Pending,
        }
    }

    /// Ends the session at once, without a Close handshake.
    pub(crate) fn abort(&mut self, stats: &Stats) {
        let counted = self.counted();
        self.driver.break_off(CloseCode::GOING_AWAY);
        let (driver, endpoint) = (&mut self.driver, &mut self.endpoint);
        let aborted = catch_unwind(AssertUnwindSafe(|| driver.abort(endpoint)));
        if aborted.is_err() {
            self.endpoint.handle_panic();
            self.driver.abort(&mut self.endpoint);
        }
        self.count_end(counted, stats);
    }

    /// Sends the replies from before the panic, and closes the session.
    #[cold]
    fn handle_panic_in_turn(
        &mut self,
        counted: Counted,
        read_buffers: &mut buffers::ReadBuffers,
        stats: &Stats,
    ) -> Poll<DriveOutcome> {
        self.driver.take_replies(&mut read_buffers.framed);
        self.handle_panic(counted, stats)
    }

    /// Closes the session after a panic of the endpoint. `counted` is the value from before the panic.
    #[cold]
    fn handle_panic(&mut self, counted: Counted, stats: &Stats) -> Poll<DriveOutcome> {
        self.driver.handle_panic(&mut self.endpoint);
        if self.driver.has_ended() {
            self.count_end(counted, stats);
        }
        Poll::Ready(match self.driver.is_done() {
            true => DriveOutcome::Done,
            false => DriveOutcome::Over,
        })
    }

    /// Returns whether the session counts as open: it does until its end is known.
    #[inline]
    fn counted(&self) -> Counted {
        match self.driver.has_ended() {
            false => Counted::Yes,
            true => Counted::No,
        }
    }

    /// Counts the end of the session, once.
    fn count_end(&self, counted: Counted, stats: &Stats) {
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
        // An idle session is this and the state that its handle shares. Without deflate and groups it owns no
        // other memory.
        assert!(size_of::<ActiveSession>() <= 104);
    }
}
