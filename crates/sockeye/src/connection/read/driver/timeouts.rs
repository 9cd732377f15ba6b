//! The timeouts of a connection.

use sockeye_proto::{Pace, ReadState};
use tokio::time::Instant;

use crate::{
    closed::EndCause,
    connection::{
        io::Outbound,
        pending_work::WriteStall,
        read::{
            driver::Driver,
            watchdog::{Due, Traffic, since_origin},
        },
        sink::Sink,
        write::Writer,
    },
    time::later,
};

impl Driver {
    /// Returns when [`Driver::handle_timeout`] is due, if ever, after a call at `now`.
    pub(crate) fn timeout_due(&self, now: Instant) -> Option<Instant> {
        match self.has_ended() {
            true => None,
            false => {
                let due = self.watchdog.due(now, &self.shared().negotiated().settings);
                due.into_iter().chain(self.message_look()).min()
            }
        }
    }

    /// Checks what no event announces. Called after [`Driver::poll_drive`], so that all that has come is
    /// read: a peer whose bytes are here is not late.
    pub(crate) fn handle_timeout(&mut self, now: Instant, sink: &mut impl Sink) {
        if self.has_ended() {
            return;
        }
        let waits = self.waits_for_memory();
        if self.is_message_late(now, sink) {
            // A peer that isn't read from isn't at fault, but its message holds memory that is short.
            let end_cause = match waits {
                true => EndCause::Shed,
                false => EndCause::Unfinished,
            };
            return self.expel(end_cause, sink);
        }
        let can_hear =
            !self.receiver.has_ended() && sink.has_room() && !self.waits_for_group() && !waits;
        let is_clear = can_hear && self.shared().lock_in_order().is_clear();
        let read_state = match is_clear {
            true => ReadState::CaughtUp,
            false => ReadState::Paused,
        };
        let settings = &self.session.shared().negotiated().settings;
        // Progress of an unfinished message counts as traffic.
        if self.receiver.take_progress() {
            self.traffic = Traffic::Busy;
        }
        let traffic = std::mem::replace(&mut self.traffic, Traffic::Quiet);
        let shared = self.session.shared();
        let outbound = || shared.lock_in_order().outbound();
        let (watchdog, unread) = (&mut self.watchdog, &mut self.unread);
        match watchdog.handle_timeout(now, settings, read_state, traffic, unread, outbound) {
            Due::Nothing => {}
            Due::Ping => {
                let payload = self.watchdog.payload();
                let mut writer = self.session.shared().lock_in_order();
                if writer.is_clear() && writer.ping(&payload).is_ok() {
                    return;
                }
                // Behind other bytes the ping would wait, so it is withdrawn. If not even the peer's kernel
                // answers, the peer is gone.
                let timeout = settings.heartbeat.as_ref().map(|config| config.timeout);
                let is_gone =
                    timeout.is_some_and(|timeout| writer.outbound().is_unanswered(timeout));
                drop(writer);
                match is_gone {
                    true => self.cut_off(EndCause::Silent, sink),
                    false => self.watchdog.withdraw(),
                }
            }
            Due::PingAgain => {
                let payload = self.watchdog.payload();
                let _ = self.shared().lock_in_order().ping(&payload);
            }
            Due::EndCause(end_cause @ (EndCause::Idle | EndCause::Expired)) => {
                self.shared().lock_in_order().close_for(end_cause);
            }
            Due::EndCause(end_cause) => self.cut_off(end_cause, sink),
        }
    }

    /// Returns whether the unfinished message comes too slowly. A pause for short memory is no excuse: the
    /// largest holders are to finish or to be closed.
    fn is_message_late(&mut self, now: Instant, sink: &impl Sink) -> bool {
        let is_read =
            sink.has_room() && !self.waits_for_group() && self.shared().lock_in_order().may_read();
        let read_state = match is_read {
            true => ReadState::CaughtUp,
            false => ReadState::Paused,
        };
        let limits = &self.session.shared().negotiated().settings.limits;
        let pace = self
            .receiver
            .handle_timeout(since_origin(now), read_state, limits);
        pace == Pace::TooSlow
    }

    /// Returns whether bytes have waited for too long without any being taken, by the socket or, as far as
    /// the kernel tells, by the peer. The socket takes more only after much of its buffer is free, which can
    /// take a slow peer a long time.
    pub(super) fn is_stalled(&mut self, writer: &mut Writer) -> bool {
        let timeout = self.shared().negotiated().settings.progress_timeout;
        let Some(timeout) = timeout.filter(|_| writer.is_open() && writer.is_stuck()) else {
            if let Some(pending_work) = &mut self.pending_work {
                pending_work.write_stall = None;
            }
            return false;
        };
        let now = Instant::now();
        let has_moved = writer.has_moved();
        let write_stall = &mut self.pending_work().write_stall;
        let Some(write_stall) = write_stall.as_mut().filter(|_| !has_moved) else {
            *write_stall = Some(WriteStall {
                due: later(now, timeout / 2),
                before: None,
            });
            return false;
        };
        if write_stall.due > now {
            return false;
        }
        write_stall.due = later(now, timeout);
        let outbound = writer.outbound();
        match (write_stall.before.replace(outbound), outbound) {
            (None, _) => false,
            (Some(Outbound::Tcp(before)), Outbound::Tcp(info)) => before.acked == info.acked,
            (Some(_), _) => true,
        }
    }

    /// Ends the connection for `end_cause` at once, without a Close frame.
    pub(super) fn cut_off(&mut self, end_cause: EndCause, sink: &mut impl Sink) {
        self.shared().lock_in_order().reset_for(end_cause);
        sink.handle_error(&self.session, end_cause.into());
        self.finish(sink);
        self.done();
    }
}
