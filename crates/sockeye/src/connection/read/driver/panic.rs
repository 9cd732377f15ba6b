//! The end of a connection whose program has panicked.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sockeye_proto::CloseCode;

use crate::connection::{
    read::driver::Driver,
    sink::Sink,
    write::{Framed, ReplyBatch},
};

impl Driver {
    /// Handles a panic of the program in any callback. Nothing more is received, and our Close frame says
    /// 1011. The caller drives on, because the end is still to come.
    #[cold]
    pub(crate) fn handle_panic(&mut self, sink: &mut impl Sink) {
        tracing::error!(session = self.session.id(), "a program panicked");
        sink.handle_panic();
        self.receiver.end();
        let pending_work = self.pending_work();
        let is_second = std::mem::replace(&mut pending_work.has_panicked, true);
        (
            pending_work.pending,
            pending_work.handled,
            pending_work.owed,
        ) = (Vec::new(), 0, None);
        // The stream may be the program's too, and panic again.
        let broken_off = catch_unwind(AssertUnwindSafe(|| match is_second {
            false => self.break_off(CloseCode::INTERNAL_ERROR),
            true => self.abort(sink),
        }));
        if broken_off.is_err() {
            let _ = catch_unwind(AssertUnwindSafe(|| self.abort(sink)));
        }
    }

    /// Sends the replies from before a panic, which are still in the thread's memory.
    pub(crate) fn take_replies(&self, framed: &mut Framed) {
        self.shared()
            .lock_in_order()
            .take_replies(&mut ReplyBatch::new(framed));
    }
}
