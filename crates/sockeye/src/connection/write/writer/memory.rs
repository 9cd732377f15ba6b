//! What waits to be written, when memory is short.

use crate::{
    closed::EndCause,
    connection::write::writer::Writer,
    memory::{Holding, MemoryBudget},
};

/// Bytes. Behind more of what waits, a Close frame would not get through soon.
const CLOSE_BEHIND_BYTES_MAX: usize = 64 << 10;

impl Writer {
    /// It is ended for what it holds: says so, if it isn't closing already and the Close frame gets through soon.
    /// Whether it was said.
    pub(crate) fn expel(&mut self, end_cause: EndCause) -> bool {
        if !self.is_open() || self.buffered_bytes() > CLOSE_BEHIND_BYTES_MAX {
            return false;
        }
        self.cold_state().end_cause = Some(end_cause);
        // Before what is written at once: it is forgiven.
        if let Some(outbox) = &mut self.outbox {
            outbox.holding = None;
        }
        self.close(end_cause.code(), end_cause.reason());
        true
    }

    /// Charges what waits to be written to `budget` from now on, if it waits because the transport takes no more.
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

    /// Whether a read would find the peer's end, and nothing before it.
    pub(crate) fn is_at_end(&self) -> bool {
        self.io.is_at_end()
    }

    /// Whether it must go, because so much waits to be written and memory is short.
    pub(crate) fn must_close(&self) -> bool {
        let outbox = self.outbox.as_ref();
        let holding = outbox.and_then(|outbox| outbox.holding.as_ref());
        holding.is_some_and(Holding::must_close)
    }
}
