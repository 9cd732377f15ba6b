//! Sending and flushing: how a session's bytes get to its socket.

use std::{
    io::{self, IoSlice},
    task::{Context, Poll},
};

use bytes::Bytes;
use sockeye_proto::{
    Message,
    driver::{encode_plain, plain_len_limit, send_head},
};

use crate::connection::{
    buffers,
    io::Io,
    sent::Sent,
    write::{
        outbox::WriteSlices,
        writer::{Cork, DrivenBy, Flow, HEAD_BYTES, OutboxError, Writer},
    },
};

/// Bytes. A payload of at least this length is written from where it is, with its header before it.
const LARGE_BYTES_MIN: usize = 16 << 10;

/// Bytes. As [`LARGE_BYTES_MIN`], while a batch gathers.
const LARGE_IN_BATCH_BYTES_MIN: usize = 64 << 10;

/// Bytes. As [`LARGE_BYTES_MIN`], for a payload that others may share: what waits of it costs no memory.
const SHARED_BYTES_MIN: usize = 4 << 10;

impl Writer {
    /// Takes a reply of the endpoint, whatever waits: reading pauses before it could be too much.
    #[inline]
    pub(crate) fn reply(&mut self, message: &Message<'_>) {
        self.catch_up();
        self.send(message);
        if let Some(outbox) = &mut self.outbox {
            outbox.count_answer(message.len());
        }
    }

    /// Sends a message, without the publications of groups before it.
    #[inline]
    pub(super) fn send(&mut self, message: &Message<'_>) {
        if self.sender.is_mid_message() {
            return self.defer(message);
        }
        let (kind, len) = (message.kind(), message.len());
        if len >= self.large_bytes_min() && self.send_large(message) {
            return;
        }
        let outbox = self.outbox.get_or_insert_with(buffers::take_outbox);
        let sender = &mut self.sender;
        let is_framed = outbox.append(|tail| match send_head(sender, kind, len, tail) {
            Ok(true) => {
                tail.extend_from_slice(message.as_bytes());
                true
            }
            // Compressed or masked.
            Ok(false) => buffers::with_send_pool(|pool| sender.send(message, pool, tail)).is_ok(),
            // The session is closing, and the message is too late.
            Err(_) => false,
        });
        if is_framed {
            self.count(1, len);
        }
        self.settle();
    }

    /// Takes a message that its sender no longer needs, as [`Writer::try_send`] does. Afterwards `message` is
    /// memory to recycle.
    #[inline]
    pub(crate) fn try_send_owned(&mut self, message: &mut Message<'_>) -> Result<(), OutboxError> {
        if self.gather(message) {
            return Ok(());
        }
        self.try_send_slowly(message)
    }

    /// Appends a short message to gathered ones if nothing stands in the way, as for most answers to a batch.
    /// Returns `false` if it must be sent the usual way.
    #[inline]
    fn gather(&mut self, message: &Message<'_>) -> bool {
        let len = message.len();
        let plain_len_limit = plain_len_limit(&self.sender).min(LARGE_IN_BATCH_BYTES_MIN);
        // A session with cold state may have publications or deferred messages to send first.
        let is_in_way =
            self.cork != Cork::Inbox || self.cold_state.is_some() || len >= plain_len_limit;
        if is_in_way || self.admit(len).is_err() {
            return false;
        }
        let Some(outbox) = &mut self.outbox else {
            return false;
        };
        outbox.append(|tail| encode_plain(message.kind(), message.as_bytes(), tail));
        true
    }

    #[inline(never)]
    fn try_send_slowly(&mut self, message: &mut Message<'_>) -> Result<(), OutboxError> {
        if message.is_borrowed() || message.len() < self.kept_bytes_min(message) {
            return self.try_send(message);
        }
        self.catch_up();
        self.admit(message.len())?;
        let owned = std::mem::replace(message, Message::from("")).into_owned();
        if let Some(spare) = self.send_owned(owned) {
            *message = spare;
        }
        Ok(())
    }

    /// Returns the length from which on a payload is written from where it is. In a batch that would be one
    /// write for each, which costs more than a copy.
    #[inline]
    fn large_bytes_min(&self) -> usize {
        match self.cork {
            Cork::Batch | Cork::Inbox => LARGE_IN_BATCH_BYTES_MIN,
            // The driver's replies go out first.
            Cork::Turn => usize::MAX,
            Cork::Off => LARGE_BYTES_MIN,
        }
    }

    /// Returns the length from which on a payload that isn't borrowed is kept until it is written.
    fn kept_bytes_min(&self, message: &Message<'_>) -> usize {
        match message.is_shared() {
            true => SHARED_BYTES_MIN,
            false => self.large_bytes_min(),
        }
    }

    /// Takes a reply and may keep its memory, if it is large, until it is written. Returns the memory if it
    /// isn't needed.
    pub(crate) fn reply_owned(&mut self, message: Message<'static>) -> Option<Message<'static>> {
        self.catch_up();
        let len = message.len();
        let spare = self.send_owned(message);
        if let Some(outbox) = &mut self.outbox {
            outbox.count_answer(len);
            if spare.is_none() {
                outbox.hold_answer();
            }
        }
        spare
    }

    /// Takes an answer as [`Writer::reply_owned`] does. It doesn't count towards the limit of what is sent later.
    pub(crate) fn try_reply_owned(
        &mut self,
        message: Message<'static>,
    ) -> Result<Option<Message<'static>>, OutboxError> {
        if !self.is_open() {
            return Err(OutboxError::Closed);
        }
        let len = message.len();
        let spare = self.reply_owned(message);
        if let Some(outbox) = &mut self.outbox {
            outbox.exempt(len + HEAD_BYTES);
        }
        Ok(spare)
    }

    /// Sends a message as [`Writer::reply_owned`] does, without the publications of groups before it.
    fn send_owned(&mut self, message: Message<'static>) -> Option<Message<'static>> {
        let (kind, len) = (message.kind(), message.len());
        if len < self.kept_bytes_min(&message) {
            self.send(&message);
            return Some(message);
        }
        let mut head = Vec::with_capacity(HEAD_BYTES);
        if send_head(&mut self.sender, kind, len, &mut head) != Ok(true) {
            self.send(&message);
            return Some(message);
        }
        self.count(1, len);
        if self.cork != Cork::Off && len < self.large_bytes_min() {
            // The flush at the end of the batch writes it with the others.
            let outbox = self.outbox.get_or_insert_with(buffers::take_outbox);
            outbox.push(&head);
            outbox.push_payload(message.into_payload(), 0);
            return None;
        }
        let written = self.write(&head, message.as_bytes())?;
        let spare = match written < head.len() + len {
            true => {
                let outbox = self.outbox.get_or_insert_with(buffers::take_outbox);
                outbox.push(&head[written.min(head.len())..]);
                let payload_written = written.saturating_sub(head.len());
                outbox.push_payload(message.into_payload(), payload_written);
                None
            }
            false => Some(message),
        };
        if self.cork == Cork::Off {
            // No flush follows, which would notice that the socket takes no more.
            self.release_outbox();
        }
        spare
    }

    /// Writes as much as the socket takes. Returns whether all is written.
    #[inline]
    pub(crate) fn flush(&mut self) -> bool {
        let Some(mut outbox) = self.outbox.take() else {
            return !self.unflushed || self.flush_slowly();
        };
        // The common case: the bytes of one batch, in one write.
        if outbox.is_empty() {
            buffers::return_outbox(outbox);
            return !self.unflushed || self.flush_slowly();
        }
        if let Some(bytes) = outbox.only_slice()
            && let Some(written) = self.write_slice(bytes)
        {
            outbox.advance(written);
            self.flow.handle_taken();
            if outbox.is_empty() {
                buffers::return_outbox(outbox);
                self.unstick();
                self.handle_room();
                return !self.unflushed;
            }
        }
        self.outbox = Some(outbox);
        self.flush_slowly()
    }

    /// Writes one slice as far as possible at once. `None` on any other outcome, which
    /// [`Writer::flush_slowly`] handles.
    #[inline]
    fn write_slice(&mut self, bytes: &[u8]) -> Option<usize> {
        let (Io::Stream(polled), DrivenBy::Task(waker)) = (&mut self.io, &self.driven_by) else {
            return self.io.try_write_plain(bytes);
        };
        let cx = &mut Context::from_waker(waker);
        let written = match polled.poll_write(cx, &[IoSlice::new(bytes)]) {
            Poll::Ready(Ok(written @ 1..)) => written,
            Poll::Ready(Err(error)) => return self.note_failure(error),
            _ => return None,
        };
        if written == bytes.len() {
            match polled.poll_flush(cx) {
                Poll::Ready(Err(error)) => return self.note_failure(error),
                flushed => self.unflushed = flushed.is_pending(),
            }
        }
        Some(written)
    }

    /// Writes the gathered bytes, which are the last of the session.
    pub(super) fn write_last(&mut self) {
        if let Some(outbox) = &mut self.outbox
            && let Some(bytes) = outbox.only_slice()
            && let Some(written) = self.io.try_write_last(bytes)
        {
            outbox.advance(written);
        }
        self.uncork();
    }

    #[cold]
    fn note_failure(&mut self, error: io::Error) -> Option<usize> {
        self.fail_io(error);
        self.wake_driver();
        None
    }

    #[cold]
    pub(super) fn flush_slowly(&mut self) -> bool {
        self.write(&[], &[]);
        self.release_outbox();
        self.outbox.is_none() && !self.unflushed
    }

    /// Counts what is sent from now on.
    pub(crate) fn count_sent(&mut self) {
        self.cold_state().rare().sent.get_or_insert_default();
    }

    /// Returns what was sent, if it is counted.
    pub(crate) fn sent(&self) -> Option<Sent> {
        self.cold_state.as_ref()?.known_rare()?.sent
    }

    /// Counts what was framed, if the program wants to know.
    #[inline]
    pub(super) fn count(&mut self, messages: usize, payload_bytes: usize) {
        if let Some(cold_state) = &mut self.cold_state
            && let Some(sent) = cold_state.sent()
        {
            sent.add(messages, payload_bytes);
        }
    }

    fn defer(&mut self, message: &Message<'_>) {
        let rare = self.cold_state().rare();
        rare.deferred_bytes += message.len() + HEAD_BYTES;
        rare.deferred.push_back(message.clone().into_owned());
    }

    /// Writes header and payload from where they are. Returns `false` if the message must be sent the usual
    /// way.
    fn send_large(&mut self, message: &Message<'_>) -> bool {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        match send_head(&mut self.sender, message.kind(), message.len(), &mut head) {
            Ok(true) => {
                self.count(1, message.len());
                self.write_on(&head, message.as_bytes());
            }
            Ok(false) => return false,
            Err(_) => {}
        }
        true
    }

    /// Sends bytes that other sessions get too.
    #[inline]
    pub(super) fn transmit_shared(&mut self, bytes: &Bytes) {
        if self.cork != Cork::Off || self.outbox.is_some() {
            let outbox = self.outbox.get_or_insert_with(buffers::take_outbox);
            outbox.push_shared(bytes.clone());
            return self.settle();
        }
        match self.io.try_write_plain(bytes) {
            Some(written) if written == bytes.len() => {}
            Some(written) => {
                let outbox = self.outbox.get_or_insert_with(buffers::take_outbox);
                outbox.push_shared(bytes.slice(written..));
                self.flush();
            }
            None => self.transmit_shared_slowly(bytes),
        }
    }

    #[cold]
    fn transmit_shared_slowly(&mut self, bytes: &Bytes) {
        match self.write(&[], bytes) {
            Some(written) if written < bytes.len() => {
                let outbox = self.outbox.get_or_insert_with(buffers::take_outbox);
                outbox.push_shared(bytes.slice(written..));
                self.release_outbox();
            }
            _ => {}
        }
    }

    /// Writes what was queued, unless the cork says that a flush follows.
    #[inline]
    pub(super) fn settle(&mut self) {
        match self.cork {
            Cork::Off => {
                self.flush();
            }
            Cork::Batch | Cork::Turn | Cork::Inbox => {}
        }
    }

    /// Gives an empty outbox back to the thread, and charges a filled one.
    #[inline]
    pub(super) fn release_outbox(&mut self) {
        if let Some(mut outbox) = self.outbox.take() {
            if outbox.is_empty() {
                buffers::return_outbox(outbox);
                self.unstick();
            } else {
                outbox.trim();
                outbox.settle_held(|| self.waker());
                self.outbox = Some(outbox);
                self.stick();
            }
        }
    }

    /// Notes that bytes wait because the socket takes no more, and wakes the driver, which checks whether it
    /// does later.
    fn stick(&mut self) {
        if self.flow == Flow::Free {
            self.flow = Flow::Moving;
            self.wake_driver();
        }
    }

    /// Notes that nothing waits any more.
    #[inline]
    fn unstick(&mut self) {
        if self.is_stuck() {
            self.flow = Flow::Free;
        }
    }

    /// Writes what waits, then `head`, then `payload`. Keeps a copy of what the socket refuses.
    fn write_on(&mut self, head: &[u8], payload: &[u8]) {
        if let Some(written) = self.write(head, payload) {
            if written < head.len() + payload.len() {
                let head_written = written.min(head.len());
                let outbox = self.outbox.get_or_insert_with(buffers::take_outbox);
                outbox.push(&head[head_written..]);
                outbox.push(&payload[written - head_written..]);
            }
            if self.cork == Cork::Off {
                self.release_outbox();
            }
        }
    }

    /// Writes what waits, then `head`, then `payload`, until the socket refuses. Returns how many bytes of
    /// the latter two are written; `None` if the socket failed.
    fn write(&mut self, head: &[u8], payload: &[u8]) -> Option<usize> {
        let had_room = self.outbox_bytes() <= self.outbox_bytes_max();
        match self.write_all(head, payload) {
            Err(error) => {
                self.fail_io(error);
                self.wake_driver();
                None
            }
            Ok(written) => {
                if had_room || self.outbox_bytes() <= self.outbox_bytes_max() {
                    self.wake_waiting();
                }
                self.resume();
                Some(written)
            }
        }
    }

    fn write_all(&mut self, head: &[u8], payload: &[u8]) -> io::Result<usize> {
        let cx = &mut Context::from_waker(self.driven_by.stream_waker());
        let io = &mut self.io;
        let mut written = 0;
        loop {
            let mut slices = WriteSlices::new();
            if let Some(outbox) = &self.outbox {
                outbox.slices(&mut slices);
            }
            slices.push(&head[written.min(head.len())..]);
            slices.push(&payload[written.saturating_sub(head.len())..]);
            if slices.as_slice().is_empty() {
                self.unflushed = io.poll_flush(cx)?.is_pending();
                return Ok(written);
            }
            match io.poll_write(cx, slices.as_slice())? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => {
                    self.flow.handle_taken();
                    let mut queued = 0;
                    if let Some(outbox) = &mut self.outbox {
                        queued = count.min(outbox.bytes());
                        outbox.advance(queued);
                    }
                    written += count - queued;
                }
                Poll::Pending => return Ok(written),
            }
        }
    }

    pub(super) fn wake_waiting(&mut self) {
        if let Some(cold_state) = &mut self.cold_state {
            cold_state.wake_waiting();
        }
    }

    /// Wakes the driver if it waits for the room that there is now.
    pub(super) fn resume(&mut self) {
        if self.paused && self.may_read() {
            self.paused = false;
            self.wake_driver();
        }
    }

    /// Wakes all that wait for room, if any do.
    #[inline]
    fn handle_room(&mut self) {
        if self.cold_state.is_some() {
            self.wake_waiting();
        }
        if self.paused {
            self.resume();
        }
    }
}
