//! The socket of one session, and the bytes that wait to be written to it.

mod delivery;
mod driven_by;
mod flush;
mod memory;
mod turn;

use std::{
    io,
    sync::Arc,
    task::{Context, Poll},
};

use sockeye_proto::{
    CloseCode, CloseFrame, Event, Message, MessageKind, ProtocolError, SendError, Sender,
    driver::{PreparedForm, prepared_form},
    extension::{End, Pool},
};

use crate::{
    closed::{Closed, EndCause, Side},
    connection::{
        buffers,
        cold_state::ColdState,
        io::{Io, Outbound},
        permit::Permit,
        waiters::Waiters,
        write::{outbox::Outbox, prepared::Prepared, writer::driven_by::DrivenBy},
    },
    handshake::Request,
};

/// Bytes of answers that may wait, or a quarter of the outbox if that is less. While more wait, nothing is
/// read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Bytes. 14 is the longest frame header, counted for each message that waits.
pub(crate) const HEAD_BYTES: usize = 14;

/// The socket of one session, the sending half of its protocol, and the bytes that wait to be written. All of
/// it is under the session's one lock, and nothing here blocks.
pub(crate) struct Writer {
    io: Io,
    /// Counts the connection; dropped with `io`.
    permit: Option<Arc<Permit>>,
    sender: Sender,
    /// `Some` while bytes wait or gather.
    outbox: Option<Box<Outbox>>,
    /// At most 4 GiB in 32 bits, so that a worker's record stays small.
    outbox_bytes_max: u32,
    cold_state: Option<Box<ColdState>>,
    driven_by: DrivenBy,
    cork: Cork,
    /// Whether the driver has stopped reading until there is room again.
    paused: bool,
    /// Whether `io` itself holds bytes back, as TLS does.
    unflushed: bool,
    flow: Flow,
}

/// Whether the socket takes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// Nothing waits.
    Free,
    /// Bytes wait, and the socket has taken some since the last [`Writer::has_moved`].
    Moving,
    /// Bytes wait, and the socket has taken none.
    Stuck,
    /// The socket has failed.
    Lost,
}

impl Flow {
    /// Notes that the socket has taken bytes.
    #[inline]
    fn handle_taken(&mut self) {
        if *self == Self::Stuck {
            *self = Self::Moving;
        }
    }
}

/// Whether a send goes to the socket at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cork {
    /// It goes to the socket at once.
    Off,
    /// A batch of input is being handled, and the driver flushes at its end.
    Batch,
    /// As `Batch`, and the driver keeps replies that go out first. Nothing may be written until the driver
    /// has passed them on by [`Writer::take_replies`], or ends the turn.
    Turn,
    /// The program has more messages to take. It flushes when it asks for more, and the background driver
    /// flushes if it doesn't.
    Inbox,
}

/// Why the outbox doesn't take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutboxError {
    /// There is no room now.
    Full,
    /// The connection is closing or closed.
    Closed,
}

impl Writer {
    pub(crate) fn new(
        io: Io,
        sender: Sender,
        outbox_bytes_max: usize,
        request: Arc<Request>,
    ) -> Self {
        Self {
            io,
            permit: None,
            sender,
            outbox: None,
            outbox_bytes_max: u32::try_from(outbox_bytes_max).unwrap_or(u32::MAX),
            cold_state: Some(Box::new(ColdState::of_request(request))),
            driven_by: DrivenBy::Nobody,
            cork: Cork::Off,
            paused: false,
            unflushed: false,
            flow: Flow::Free,
        }
    }

    /// Keeps `permit` until the socket is closed.
    pub(crate) fn keep(&mut self, permit: Arc<Permit>) {
        self.permit = self.io.is_some().then_some(permit);
    }

    /// Returns how many bytes wait to be written.
    #[inline]
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.outbox_bytes()
            + self
                .cold_state
                .as_ref()
                .and_then(|cold_state| cold_state.known_rare())
                .map_or(0, |rare| rare.deferred_bytes)
    }

    /// Returns whether replies may still be queued. If not, reading pauses.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        let holds_answer = (self.outbox.as_ref()).is_some_and(|outbox| outbox.holds_answer());
        !holds_answer && self.buffered_bytes() <= self.outbox_bytes_max()
    }

    /// Returns whether the peer may be read from. A peer that sends without reading the answers gets few
    /// answers queued.
    #[inline]
    pub(crate) fn may_read(&self) -> bool {
        let answers = self
            .outbox
            .as_ref()
            .map_or(0, |outbox| outbox.answer_bytes());
        self.has_room() && answers <= ANSWER_BYTES_MAX.min(self.outbox_bytes_max() / 4)
    }

    /// Returns whether messages can still be sent.
    pub(crate) fn is_open(&self) -> bool {
        self.io.is_some() && self.sender.close_sent().is_none() && !self.is_lost()
    }

    /// Returns whether there is nothing to do but to read.
    #[inline]
    pub(crate) fn is_calm(&self) -> bool {
        // `Cork::Inbox` with an empty outbox is not work.
        let gathers = matches!(self.cork, Cork::Batch | Cork::Turn);
        // All flags at once, since this is called twice for each read.
        let is_busy = gathers | self.unflushed | self.is_lost();
        self.outbox.is_none() && !is_busy && self.sender.close_sent().is_none()
    }

    /// Returns whether bytes sent now go out now: nothing waits, and the session is open.
    pub(crate) fn is_clear(&self) -> bool {
        self.outbox.is_none() && !self.unflushed && self.is_open()
    }

    /// Returns whether bytes wait because the socket takes no more.
    pub(crate) fn is_stuck(&self) -> bool {
        matches!(self.flow, Flow::Moving | Flow::Stuck)
    }

    /// Returns whether the socket has taken any of the waiting bytes since the last call.
    pub(crate) fn has_moved(&mut self) -> bool {
        let has_moved = self.flow == Flow::Moving;
        if has_moved {
            self.flow = Flow::Stuck;
        }
        has_moved
    }

    /// Returns what is known of the bytes that the socket has taken.
    pub(crate) fn outbound(&self) -> Outbound {
        self.io.outbound()
    }

    /// Returns whether `io` is a worker's plain TCP socket.
    pub(crate) fn is_on_socket(&self) -> bool {
        self.io.is_socket()
    }

    pub(crate) fn close_sent(&self) -> Option<CloseCode> {
        self.sender.close_sent()
    }

    pub(crate) fn closed(&self) -> Option<&Closed> {
        self.cold_state.as_ref()?.known_rare()?.closed.as_ref()
    }

    /// Returns whether the socket has failed.
    pub(crate) fn is_lost(&self) -> bool {
        self.flow == Flow::Lost
    }

    /// Takes the reason of the failure; `None` if the peer has sent a Close frame before it.
    pub(crate) fn failure(&mut self) -> Option<io::Error> {
        self.cold_state.as_mut()?.take_failure()
    }

    /// Returns the cold state, creating it if the session has none.
    pub(crate) fn cold_state(&mut self) -> &mut ColdState {
        self.cold_state.get_or_insert_default()
    }

    pub(crate) fn request(&self) -> Option<&Arc<Request>> {
        self.cold_state.as_ref()?.request.as_ref()
    }

    /// Takes the request, which is not needed any more. The caller drops it after the lock is released,
    /// because values of the program in it may run code on drop.
    #[must_use]
    pub(crate) fn forget_request(&mut self) -> Option<Arc<Request>> {
        let request = self.cold_state.as_mut()?.request.take();
        self.tidy();
        request
    }

    /// Drops the cold state if it is empty.
    pub(crate) fn tidy(&mut self) {
        self.cold_state.take_if(|cold_state| {
            cold_state.tidy();
            cold_state.is_empty()
        });
    }

    /// Sends a message whole or not at all: if it fits the outbox, or if nothing waits.
    pub(crate) fn try_send(&mut self, message: &Message<'_>) -> Result<(), OutboxError> {
        self.catch_up();
        self.admit(message.len())?;
        self.send(message);
        Ok(())
    }

    /// Sends a prepared message as [`Writer::try_send`] does.
    pub(crate) fn try_send_prepared(&mut self, prepared: &Prepared) -> Result<(), OutboxError> {
        self.catch_up();
        self.offer(prepared)
    }

    /// Sends a prepared message, without the publications of groups before it.
    fn offer(&mut self, prepared: &Prepared) -> Result<(), OutboxError> {
        let message = prepared.message();
        self.admit(message.len())?;
        match prepared_form(&self.sender, message.len()) {
            Ok(PreparedForm::Own) | Err(SendError::MidMessage) => self.send(message),
            Ok(PreparedForm::Plain) => {
                self.count(1, message.len());
                self.transmit_shared(prepared.plain_frame());
            }
            Ok(form) => {
                self.count(1, message.len());
                self.transmit_shared(&prepared.frame(form));
            }
            Err(_) => return Err(OutboxError::Closed),
        }
        Ok(())
    }

    /// Begins a message in parts.
    pub(crate) fn begin_parts(&mut self) -> Result<(), OutboxError> {
        self.catch_up();
        if !self.is_open() {
            return Err(OutboxError::Closed);
        }
        self.sender.begin_parts().map_err(|error| match error {
            SendError::MidMessage => OutboxError::Full,
            _ => OutboxError::Closed,
        })
    }

    /// Sends a part, if it fits.
    pub(crate) fn try_send_part(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        end: End,
    ) -> Result<(), OutboxError> {
        // Deferred messages wait for this message's end, so they must not take its room.
        self.admit_behind(self.outbox_bytes(), payload.len())?;
        let sender = &mut self.sender;
        let outbox = self.outbox.get_or_insert_with(buffers::take_outbox);
        buffers::with_send_pool(|pool| {
            outbox.append(|tail| sender.send_part(kind, payload, end, pool, tail))
        })
        .map_err(|_| OutboxError::Closed)?;
        self.count(usize::from(end == End::Yes), payload.len());
        if end == End::Yes
            && let Some(cold_state) = &mut self.cold_state
        {
            for message in cold_state.take_deferred() {
                self.send(&message);
            }
            self.wake_waiting();
        }
        self.settle();
        self.resume();
        Ok(())
    }

    pub(crate) fn ping(&mut self, payload: &[u8]) -> Result<(), OutboxError> {
        self.catch_up();
        self.admit(payload.len())?;
        let sender = &mut self.sender;
        let outbox = self.outbox.get_or_insert_with(buffers::take_outbox);
        let _ = outbox.append(|tail| sender.ping(payload, tail));
        self.settle();
        Ok(())
    }

    /// Answers a ping.
    pub(crate) fn answer(&mut self, event: &Event<'_>) {
        let sender = &mut self.sender;
        let outbox = self.outbox.get_or_insert_with(buffers::take_outbox);
        let before = outbox.bytes();
        outbox.append(|tail| sender.answer(event, tail));
        outbox.count_answer(outbox.bytes() - before);
        self.settle();
    }

    /// Sends the head of our answer to the opening handshake, before all frames.
    pub(crate) fn send_head_of_stream(&mut self, head: &[u8]) {
        self.outbox
            .get_or_insert_with(buffers::take_outbox)
            .push(head);
        self.settle();
    }

    /// Remembers the peer's Close frame. The driver decides when it is answered.
    pub(crate) fn hear_close(&mut self, frame: CloseFrame<'_>) {
        self.cold_state().rare().received = Some(frame.code);
        self.note_ending(Side::Peer, frame.code, frame.reason);
    }

    /// Answers the peer's Close frame, unless ours is out already. The answer is the last frame written, and
    /// the driver ends the connection after it.
    pub(crate) fn answer_close(&mut self) {
        let Some((Side::Peer, code, reason)) = self.cold_state().rare().ending.clone() else {
            return;
        };
        let is_clear = self.is_clear() && self.cork == Cork::Off;
        if is_clear {
            self.cork = Cork::Batch;
        }
        self.close(code, &reason);
        if is_clear {
            self.write_last();
        }
    }

    /// Sends our Close frame, if it isn't out yet.
    pub(crate) fn close(&mut self, code: CloseCode, reason: &str) {
        self.catch_up();
        let sender = &mut self.sender;
        let outbox = self.outbox.get_or_insert_with(buffers::take_outbox);
        if outbox
            .append(|tail| sender.close(code, reason, tail))
            .is_ok()
        {
            self.note_ending(Side::Us, code, reason);
            self.cold_state().take_deferred();
            self.settle();
            self.wake_waiting();
            self.wake_driver();
        } else {
            self.release_outbox();
        }
    }

    /// Closes the connection, because the peer broke the protocol.
    pub(crate) fn fail(&mut self, error: ProtocolError) {
        self.close(error.close_code(), error.as_str());
    }

    /// Notes that the socket has failed, so that nothing can be written any more.
    pub(crate) fn fail_io(&mut self, error: io::Error) {
        self.flow = Flow::Lost;
        self.outbox = None;
        let cold_state = self.cold_state();
        cold_state.rare().failure.get_or_insert(error);
        cold_state.take_deferred();
        cold_state.wake_waiting();
    }

    /// Ends the connection for `end_cause` by a reset: neither this process nor the kernel sends what waits.
    pub(crate) fn reset_for(&mut self, end_cause: EndCause) {
        self.cold_state().rare().end_cause = Some(end_cause);
        self.note_ending(end_cause.side(), CloseCode::ABNORMAL, end_cause.reason());
        self.io.reset();
    }

    /// Closes the connection for `end_cause` with a Close frame.
    pub(crate) fn close_for(&mut self, end_cause: EndCause) {
        if self.is_open() {
            self.cold_state().rare().end_cause = Some(end_cause);
            self.close(CloseCode::GOING_AWAY, end_cause.reason());
        }
    }

    /// Returns why this end has ended the connection, if a timeout or short memory was the cause.
    pub(crate) fn end_cause(&self) -> Option<EndCause> {
        self.cold_state.as_ref()?.known_rare()?.end_cause
    }

    /// Settles how the connection ended, and wakes all that wait for it. The socket stays, to be shut down.
    pub(crate) fn finish(&mut self) -> Closed {
        self.note_ending(Side::Network, CloseCode::ABNORMAL, "");
        let sent = self.sender.close_sent();
        let cold_state = self.cold_state();
        let rare = cold_state.rare();
        let (by, code, reason) = rare.ending.clone().expect("noted just now");
        let closed = Closed {
            code,
            reason,
            by,
            sent,
            received: rare.received,
        };
        rare.closed = Some(closed.clone());
        rare.waiting.wake();
        rare.watching.wake();
        closed
    }

    /// Drops the socket.
    pub(crate) fn drop_io(&mut self) {
        self.io = Io::None;
        self.permit = None;
        self.driven_by = DrivenBy::Nobody;
        self.outbox = None;
        self.unflushed = false;
        self.cold_state().take_deferred();
    }

    /// Notes whether reading pauses, so that the driver is woken when there is room.
    pub(crate) fn pause(&mut self) {
        self.paused = !self.may_read();
    }

    /// Notes that the driver is at work, and need not be woken for room.
    pub(crate) fn clear_pause(&mut self) {
        self.paused = false;
    }

    /// Returns the tasks that wait for room.
    pub(crate) fn waiting(&mut self) -> &mut Waiters {
        &mut self.cold_state().rare().waiting
    }

    /// Returns the tasks that wait for the end.
    pub(crate) fn watching(&mut self) -> &mut Waiters {
        &mut self.cold_state().rare().watching
    }

    /// Sets whether a send goes to the socket at once.
    #[inline]
    pub(crate) fn set_cork(&mut self, cork: Cork) {
        self.cork = cork;
    }

    /// Has sends go to the socket at once from now on, and writes all gathered bytes in one write.
    #[inline]
    pub(crate) fn uncork(&mut self) {
        self.cork = Cork::Off;
        self.flush();
    }

    /// Returns whether the answers to a batch still gather. An empty batch ends the gathering.
    #[inline]
    pub(crate) fn gathers(&mut self) -> bool {
        if self.outbox.is_none() {
            self.cork = Cork::Off;
        }
        self.cork == Cork::Inbox
    }

    #[inline(always)] // Into the driver's turn.
    pub(crate) fn poll_read(&mut self, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.io.poll_read_plain(buffer) {
            Some(read) => read,
            None => self.poll_read_layered(buffer),
        }
    }

    #[inline(never)]
    fn poll_read_layered(&mut self, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let cx = &mut Context::from_waker(self.driven_by.stream_waker());
        self.io.poll_read_layered(cx, buffer)
    }

    /// Ends the sending direction.
    pub(crate) fn poll_shutdown(&mut self) -> Poll<()> {
        let cx = &mut Context::from_waker(self.driven_by.stream_waker());
        self.io.poll_shutdown(cx)
    }

    #[inline]
    fn outbox_bytes_max(&self) -> usize {
        self.outbox_bytes_max as usize
    }

    #[inline]
    fn outbox_bytes(&self) -> usize {
        self.outbox.as_ref().map_or(0, |outbox| outbox.bytes())
    }

    fn admit(&self, payload_bytes: usize) -> Result<(), OutboxError> {
        let exempt = self
            .outbox
            .as_ref()
            .map_or(0, |outbox| outbox.bytes() - outbox.limited_bytes());
        self.admit_behind(self.buffered_bytes() - exempt, payload_bytes)
    }

    fn admit_behind(&self, waiting: usize, payload_bytes: usize) -> Result<(), OutboxError> {
        if !self.is_open() {
            return Err(OutboxError::Closed);
        }
        if waiting > 0 && waiting + payload_bytes + HEAD_BYTES > self.outbox_bytes_max() {
            return Err(OutboxError::Full);
        }
        Ok(())
    }

    fn note_ending(&mut self, side: Side, code: CloseCode, reason: &str) {
        let rare = self.cold_state().rare();
        if rare.ending.is_none() {
            rare.ending = Some((side, code, reason.to_owned()));
        }
    }
}

/// Calls `work` with the thread's compression contexts, for [`Prepared`].
pub(crate) fn with_pool<T>(work: impl FnOnce(&mut Pool) -> T) -> T {
    buffers::with_send_pool(work)
}
