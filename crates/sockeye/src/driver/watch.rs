//! What only time tells about a connection.

use sockeye_proto::Hearing;
use tokio::time::Instant;

use super::{Driver, Sink};
use crate::{
    drain::later,
    vigil::{Due, Lapse, Traffic},
    wire::Wire,
};

impl Driver {
    /// When [`Driver::keep_vigil`] is due, if ever, for somebody who has looked just now.
    pub(crate) fn vigil_due(&self, now: Instant) -> Option<Instant> {
        match self.has_ended() {
            true => None,
            false => self.vigil.due(now, &self.shared().terms().settings),
        }
    }

    /// Looks at what no event tells of. Call it after [`Driver::poll_drive`], so that all that has come is
    /// read: nobody is late whose bytes are here.
    pub(crate) fn keep_vigil(&mut self, now: Instant, sink: &mut impl Sink) {
        if self.has_ended() {
            return;
        }
        let can_hear = !self.receiver.has_ended() && sink.has_room();
        let is_clear = can_hear && self.shared().wire().is_clear();
        let hearing = match is_clear {
            true => Hearing::Clear,
            false => Hearing::Paused,
        };
        let settings = &self.session.shared().terms().settings;
        let traffic = std::mem::replace(&mut self.traffic, Traffic::Quiet);
        match self.vigil.handle_timeout(now, settings, hearing, traffic) {
            Due::Nothing => {}
            Due::Ping => {
                let payload = self.vigil.payload();
                let mut wire = self.session.shared().wire();
                // Behind other bytes it would wait: whether they move is another question.
                if !wire.is_clear() || wire.ping(&payload).is_err() {
                    self.vigil.withdraw();
                }
            }
            Due::Lapse(lapse @ (Lapse::Idle | Lapse::Expired)) => {
                self.shared().wire().retire(lapse);
            }
            Due::Lapse(lapse) => self.lapse(lapse, sink),
        }
    }

    /// Whether bytes wait, and have waited for too long without any being taken.
    pub(super) fn is_stalled(&mut self, wire: &mut Wire) -> bool {
        let timeout = self.shared().terms().settings.progress_timeout;
        let Some(timeout) = timeout.filter(|_| wire.is_open() && wire.is_stuck()) else {
            if let Some(agenda) = &mut self.agenda {
                agenda.stalled_at = None;
            }
            return false;
        };
        let now = Instant::now();
        let has_moved = wire.has_moved();
        let stalled_at = &mut self.agenda().stalled_at;
        if has_moved || stalled_at.is_none() {
            *stalled_at = Some(later(now, timeout));
        }
        stalled_at.is_some_and(|stalled_at| stalled_at <= now)
    }

    /// Its time is over: the socket is let go at once, for there is nobody to say goodbye to.
    pub(super) fn lapse(&mut self, lapse: Lapse, sink: &mut impl Sink) {
        self.shared().wire().lapse(lapse);
        sink.handle_error(&self.session, lapse.into());
        self.finish(sink);
        self.done();
    }
}
