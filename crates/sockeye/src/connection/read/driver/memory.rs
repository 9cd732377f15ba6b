//! The memory that a connection holds for its peer, and what follows when memory is short.

use tokio::time::Instant;

use crate::{
    closed::EndCause,
    connection::{
        read::{
            driver::{Driver, DriverStage},
            watchdog::SHORTEST_LOOK,
        },
        sink::Sink,
        write::Writer,
    },
    memory::Holding,
    time::later,
};

/// Bytes. Less isn't counted, since each connection costs more than that anyway.
const COUNTED_BYTES_MIN: usize = 1 << 10;

impl Driver {
    /// Charges the bytes that the connection holds while it waits for more.
    #[inline]
    pub(crate) fn settle_held(&mut self, sink: &impl Sink) {
        let in_sink = sink.held_bytes();
        if self.pending_work.is_some() || self.receiver.may_hold() || in_sink > 0 {
            self.settle_held_slowly(in_sink);
        }
    }

    #[inline(never)]
    fn settle_held_slowly(&mut self, in_sink: usize) {
        let pending_work = self.pending_work.as_ref();
        let pending = pending_work.map_or(0, |pending_work| pending_work.pending.capacity());
        let bytes = self.receiver.held_bytes() + pending + in_sink;
        if bytes < COUNTED_BYTES_MIN || self.stage == DriverStage::Done {
            if let Some(pending_work) = &mut self.pending_work {
                pending_work.holding = None;
            }
            self.pending_work
                .take_if(|pending_work| pending_work.is_empty());
            return;
        }
        let shared = self.session.shared();
        let budget = &shared.negotiated().settings.memory_budget;
        let holding = &mut self.pending_work.get_or_insert_default().holding;
        let holding = holding.get_or_insert_with(|| Holding::new(budget));
        holding.set(bytes, || shared.lock_in_order().waker());
    }

    /// Returns whether a frame or message of the peer is unfinished.
    #[inline]
    pub(crate) fn is_unfinished(&self) -> bool {
        self.receiver.is_unfinished()
    }

    /// Returns when the unfinished message is checked next, if there is one: see
    /// [`sockeye_proto::Limits::message_timeout`].
    pub(crate) fn message_look(&self) -> Option<Instant> {
        let is_under_way = self.stage == DriverStage::Open && self.receiver.is_unfinished();
        let timeout = self.shared().negotiated().settings.limits.message_timeout;
        is_under_way.then(|| later(Instant::now(), (timeout / LOOKS).max(SHORTEST_LOOK)))
    }

    /// Returns whether the connection holds so much that nothing is read: see [`Driver::must_wait`].
    pub(super) fn waits_for_memory(&self) -> bool {
        let pending_work = self.pending_work.as_ref();
        pending_work.is_some_and(|pending_work| {
            pending_work
                .holding
                .as_ref()
                .is_some_and(Holding::needs_driver)
        })
    }

    /// Returns whether the connection holds so much that nothing may be read now. Then it is woken when there
    /// may be room.
    pub(super) fn must_wait(&mut self, writer: &Writer) -> bool {
        let pending_work = self.pending_work.as_mut();
        let holding = pending_work.and_then(|pending_work| pending_work.holding.as_mut());
        holding.is_some_and(|holding| holding.must_wait(|| writer.waker()))
    }

    /// Returns whether the connection must be closed, because it is among the largest holders and memory is
    /// short.
    pub(super) fn must_close(&self, writer: &Writer) -> bool {
        let pending_work = self.pending_work.as_ref();
        let holding = pending_work.and_then(|pending_work| pending_work.holding.as_ref());
        holding.is_some_and(Holding::must_close) || writer.must_close()
    }

    /// Ends receiving and frees its memory.
    pub(super) fn stop_receiving(&mut self) {
        self.receiver.end();
        if let Some(pending_work) = &mut self.pending_work {
            pending_work.pending = Vec::new();
            pending_work.handled = 0;
            pending_work.holding = None;
        }
    }

    /// Ends the connection for what it holds: with a Close frame if that can get through soon, otherwise by a
    /// reset.
    pub(super) fn expel(&mut self, end_cause: EndCause, sink: &mut impl Sink) {
        self.stop_receiving();
        sink.shed();
        let was_told = self.shared().lock_in_order().expel(end_cause);
        if !was_told {
            return self.cut_off(end_cause, sink);
        }
        let pending_work = self.pending_work();
        pending_work.owed = None;
        pending_work.has_more = true;
        sink.handle_error(&self.session, end_cause.into());
    }
}

/// Checks within a message's timeout, so that its end is late by a quarter at most.
const LOOKS: u32 = 4;
