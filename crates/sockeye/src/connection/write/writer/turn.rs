//! One turn of a worker's session: the endpoint's replies to the messages of one read.

use sockeye_proto::{driver::plain_len_limit, extension::Pool};

use crate::connection::{
    buffers,
    write::{
        outbox::WriteSlices,
        reply_batch::ReplyBatch,
        writer::{Cork, Writer},
    },
};

impl Writer {
    /// Begins a turn of a calm session: sends gather until its end. `replies` opens for messages that need
    /// nothing of the writer.
    #[inline(always)] // Into the driver's turn.
    pub(crate) fn begin_turn(&mut self, replies: &mut ReplyBatch<'_>) {
        debug_assert!(self.is_calm());
        match self.plain_reply_end() {
            0 => self.set_cork(Cork::Batch),
            end => {
                replies.open(end, self.outbox_bytes_max());
                self.cork = Cork::Turn;
            }
        }
    }

    /// Ends the turn: all gathered bytes go to the socket, in one write.
    #[inline(always)] // Into the driver's turn.
    pub(crate) fn end_turn(&mut self, replies: &mut ReplyBatch<'_>, pool: &mut Pool) {
        if self.cork != Cork::Turn || self.outbox.is_some() {
            self.take_replies(replies);
            return self.uncork();
        }
        if replies.has_large() {
            self.write_replies(replies, pool);
            replies.close();
            return self.uncork();
        }
        self.cork = Cork::Off;
        let bytes = replies.as_slice();
        if !bytes.is_empty() {
            self.count_replies(replies);
            let written = self.io.try_write_plain(bytes).unwrap_or(0);
            if written < bytes.len() {
                let outbox = self.outbox.get_or_insert_with(buffers::take_outbox);
                outbox.push(&bytes[written..]);
                outbox.count_answer(bytes.len() - written);
                self.flush_slowly();
            }
        }
        replies.close();
    }

    /// Writes the replies from where they are, in the middle of a turn. If all are written, the batch stays
    /// open. Otherwise the rest waits in the outbox, as after [`Writer::take_replies`].
    #[inline(never)]
    pub(crate) fn write_replies(&mut self, replies: &mut ReplyBatch<'_>, pool: &mut Pool) {
        if self.cork != Cork::Turn || self.outbox.is_some() {
            return self.take_replies(replies);
        }
        self.count_replies(replies);
        let mut written = 0;
        while written < replies.bytes() {
            let mut slices = WriteSlices::new();
            replies.slices(written, &mut slices);
            let count = self.io.try_write_slices(slices.as_slice());
            written += count.unwrap_or(0);
            if count.is_none_or(|count| count < slices.bytes()) {
                break;
            }
        }
        if written == replies.bytes() {
            return replies.clear_into(pool);
        }
        self.cork = Cork::Batch;
        let outbox = self.outbox.get_or_insert_with(buffers::take_outbox);
        outbox.count_answer(replies.bytes() - written);
        replies.leave_to(outbox, written);
        outbox.hold_answer();
        replies.close();
    }

    /// Moves the replies to the outbox, before all bytes gathered since the turn began, and closes the batch,
    /// so that later replies go to the outbox too.
    #[inline(always)] // Into the driver's turn.
    pub(crate) fn take_replies(&mut self, replies: &mut ReplyBatch<'_>) {
        if self.cork == Cork::Turn {
            self.cork = Cork::Batch;
            if replies.has_large() {
                replies.flatten();
            }
            if !replies.as_slice().is_empty() {
                let outbox = self.outbox.get_or_insert_with(buffers::take_outbox);
                outbox.push_front(replies.as_slice());
                outbox.count_answer(replies.as_slice().len());
                self.count_replies(replies);
            }
            replies.close();
        }
    }

    /// Counts the replies, which the writer takes now. A turn itself counts nothing: most sessions aren't counted.
    #[inline(always)] // Into the driver's turn.
    fn count_replies(&mut self, replies: &ReplyBatch<'_>) {
        if self.cold_state.is_some() {
            self.count_replies_slowly(replies);
        }
    }

    #[inline(never)]
    fn count_replies_slowly(&mut self, replies: &ReplyBatch<'_>) {
        if self.sent().is_some() {
            let (messages, payload_bytes) = replies.count();
            self.count(messages, payload_bytes);
        }
    }

    /// Returns the payload length below which a reply is a plain frame that nothing of the writer's precedes;
    /// 0 if there is none.
    #[inline(always)] // Into the driver's turn.
    fn plain_reply_end(&self) -> usize {
        // The groups' earlier publications come first.
        let is_member =
            (self.cold_state.as_ref()).is_some_and(|cold_state| !cold_state.memberships.is_empty());
        // Only a plain socket is written to without the outbox.
        if is_member || !self.io.is_socket() {
            return 0;
        }
        plain_len_limit(&self.sender)
    }
}
