//! The bytes that wait to be written, when memory is short.

use crate::{
    closed::EndCause,
    connection::write::writer::Writer,
    memory::{Holding, MemoryBudget},
};

/// Bytes. Behind more waiting bytes a Close frame would not get through soon.
const CLOSE_BEHIND_BYTES_MAX: usize = 64 << 10;

impl Writer {
    /// Closes the connection for what it holds, with a Close frame if it isn't closing already and the frame
    /// can get through soon. Returns whether the frame was sent.
    pub(crate) fn expel(&mut self, end_cause: EndCause) -> bool {
        if !self.is_open() || self.buffered_bytes() > CLOSE_BEHIND_BYTES_MAX {
            return false;
        }
        self.cold_state().rare().end_cause = Some(end_cause);
        // Dropped before the close writes, so that these bytes are no longer charged.
        if let Some(outbox) = &mut self.outbox {
            outbox.holding = None;
        }
        self.close(end_cause.code(), end_cause.reason());
        true
    }

    /// Charges waiting bytes to `budget` from now on, if they wait because the socket takes no more.
    #[inline]
    pub(crate) fn charge_to(&mut self, budget: &MemoryBudget) {
        if self.is_stuck()
            && let Some(mut outbox) = self.outbox.take()
        {
            outbox.holding.get_or_insert_with(|| Holding::new(budget));
            outbox.settle_held(|| self.waker());
            self.outbox = Some(outbox);
        }
    }

    /// Returns whether a read would find the peer's end, and nothing before it.
    pub(crate) fn is_at_end(&self) -> bool {
        self.io.is_at_end()
    }

    /// Returns whether the connection must be closed, because so much waits to be written and memory is
    /// short.
    pub(crate) fn must_close(&self) -> bool {
        let outbox = self.outbox.as_ref();
        let holding = outbox.and_then(|outbox| outbox.holding.as_ref());
        holding.is_some_and(Holding::must_close)
    }
}
