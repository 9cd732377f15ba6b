//! The socket of one session, and what waits to be written to it.

mod delivery;
mod flush;
mod memory;
mod turn;

use std::{
    io,
    sync::Arc,
    task::{Context, Poll, Waker},
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
        io::{Io, Outbound, Received},
        mailbox::{Mailbox, Note},
        permit::Permit,
        waiters::Waiters,
        write::{outbox::Outbox, prepared::Prepared},
    },
    handshake::Request,
};

/// Bytes. While more of the answers wait, or a quarter of what may wait at all, nothing is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Bytes. 14: the longest frame header, counted for each message that waits.
pub(crate) const HEAD_BYTES: usize = 14;

/// The socket of one session, the sending half of its protocol, and what waits to be written.
/// All of it stands under the session's one lock; nothing here blocks.
pub(crate) struct Writer {
    io: Io,
    /// Dropped with the carrier: what counts it.
    permit: Option<Arc<Permit>>,
    sender: Sender,
    /// While something waits, or is being gathered.
    outbox: Option<Box<Outbox>>,
    /// At most 4 GiB, so that a record on a worker stays small.
    outbox_bytes_max: u32,
    cold_state: Option<Box<ColdState>>,
    driven_by: DrivenBy,
    cork: Cork,
    /// Whether reading has stopped until there is room again.
    paused: bool,
    /// Whether the carrier itself holds bytes back, as TLS does.
    unflushed: bool,
    flow: Flow,
}

/// What the transport does with what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// It takes all.
    Free,
    /// Something waits, and it has taken some of that since somebody asked.
    Moving,
    /// Something waits, and it has taken none of that.
    Stuck,
    /// It has failed.
    Lost,
}

impl Flow {
    /// It has taken something.
    #[inline]
    fn handle_taken(&mut self) {
        if *self == Self::Stuck {
            *self = Self::Moving;
        }
    }
}

/// Who drives the connection, and is told when something other than the socket asks for it.
pub(crate) enum DrivenBy {
    Nobody,
    /// Boxed, so that a record on a worker stays small.
    Task(Box<Waker>),
    Worker {
        mailbox: Arc<Mailbox>,
        place: u32,
    },
}

/// Whether a send goes to the socket at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cork {
    /// It does.
    Off,
    /// A batch of input is being worked off; the driver flushes at its end.
    Batch,
    /// The same, and what the driver keeps goes out before it: until the driver has brought that here, or
    /// ends the turn, nothing may be written.
    Turn,
    /// The program has more messages to look at. It flushes when it comes back for more, and its attendant if
    /// it doesn't.
    Inbox,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutboxError {
    /// No room now.
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
            cold_state: Some(Box::new(ColdState {
                request: Some(request),
                ..ColdState::default()
            })),
            driven_by: DrivenBy::Nobody,
            cork: Cork::Off,
            paused: false,
            unflushed: false,
            flow: Flow::Free,
        }
    }

    /// Keeps `permit` as long as the carrier.
    pub(crate) fn keep(&mut self, permit: Arc<Permit>) {
        self.permit = self.io.is_some().then_some(permit);
    }

    /// Bytes that wait to be written.
    #[inline]
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.outbox_bytes()
            + self
                .cold_state
                .as_ref()
                .map_or(0, |cold_state| cold_state.deferred_bytes)
    }

    /// Whether replies may still be queued; if not, reading pauses.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        let holds_answer = (self.outbox.as_ref()).is_some_and(|outbox| outbox.holds_answer());
        !holds_answer && self.buffered_bytes() <= self.outbox_bytes_max()
    }

    /// Whether the peer may be read from: who sends without reading the answers has few of them waiting.
    #[inline]
    pub(crate) fn may_read(&self) -> bool {
        let answers = self
            .outbox
            .as_ref()
            .map_or(0, |outbox| outbox.answer_bytes());
        self.has_room() && answers <= ANSWER_BYTES_MAX.min(self.outbox_bytes_max() / 4)
    }

    /// Whether messages can still be sent.
    pub(crate) fn is_open(&self) -> bool {
        self.io.is_some() && self.sender.close_sent().is_none() && !self.is_lost()
    }

    /// Whether there is nothing to do but to read.
    #[inline]
    pub(crate) fn is_calm(&self) -> bool {
        // With nothing gathered, that the program has more to look at is nothing to do.
        let gathers = matches!(self.cork, Cork::Batch | Cork::Turn);
        // All flags at once: it is asked twice for each read.
        let is_busy = gathers | self.unflushed | self.is_lost();
        self.outbox.is_none() && !is_busy && self.sender.close_sent().is_none()
    }

    /// Whether what is sent now goes out now: nothing waits, and it is open.
    pub(crate) fn is_clear(&self) -> bool {
        self.outbox.is_none() && !self.unflushed && self.is_open()
    }

    /// Whether something waits because the transport takes no more.
    pub(crate) fn is_stuck(&self) -> bool {
        matches!(self.flow, Flow::Moving | Flow::Stuck)
    }

    /// Whether the transport has taken anything since this was asked last.
    pub(crate) fn has_moved(&mut self) -> bool {
        let has_moved = self.flow == Flow::Moving;
        if has_moved {
            self.flow = Flow::Stuck;
        }
        has_moved
    }

    /// What is known of the bytes that the transport has taken.
    pub(crate) fn outbound(&self) -> Outbound {
        self.io.outbound()
    }

    /// Whether TCP itself carries it, on a worker.
    pub(crate) fn is_on_socket(&self) -> bool {
        self.io.is_socket()
    }

    pub(crate) fn close_sent(&self) -> Option<CloseCode> {
        self.sender.close_sent()
    }

    pub(crate) fn closed(&self) -> Option<&Closed> {
        self.cold_state.as_ref()?.closed.as_ref()
    }

    /// Whether the transport has failed.
    pub(crate) fn is_lost(&self) -> bool {
        self.flow == Flow::Lost
    }

    /// Why, once; nothing if the peer has said goodbye before it went.
    pub(crate) fn failure(&mut self) -> Option<io::Error> {
        let cold_state = self.cold_state.as_mut()?;
        cold_state
            .failure
            .take_if(|_| cold_state.received.is_none())
    }

    /// What a calm session has none of.
    pub(crate) fn cold_state(&mut self) -> &mut ColdState {
        self.cold_state.get_or_insert_default()
    }

    pub(crate) fn request(&self) -> Option<&Arc<Request>> {
        self.cold_state.as_ref()?.request.as_ref()
    }

    /// The request is not asked for any more. To be dropped without the lock: a program's own values are
    /// in it, which may have something to say when they go.
    #[must_use]
    pub(crate) fn forget_request(&mut self) -> Option<Arc<Request>> {
        let request = self.cold_state.as_mut()?.request.take();
        self.tidy();
        request
    }

    /// Gives the annex up, if there is nothing in it.
    pub(crate) fn tidy(&mut self) {
        self.cold_state.take_if(|cold_state| cold_state.is_empty());
    }

    /// Takes the message whole or not at all: if it fits, or if nothing waits.
    pub(crate) fn try_send(&mut self, message: &Message<'_>) -> Result<(), OutboxError> {
        self.catch_up();
        self.admit(message.len())?;
        self.send(message);
        Ok(())
    }

    /// The same for a prepared message.
    pub(crate) fn try_send_prepared(&mut self, prepared: &Prepared) -> Result<(), OutboxError> {
        self.catch_up();
        self.offer(prepared)
    }

    /// The same, with nothing before it that groups have sent.
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
        // What was deferred waits for this message's end, so it must not take its room.
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
            let deferred = std::mem::take(&mut cold_state.deferred);
            cold_state.deferred_bytes = 0;
            for message in deferred {
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

    /// Bytes that go before all frames: the head of our answer to the opening handshake.
    pub(crate) fn send_head_of_stream(&mut self, head: &[u8]) {
        self.outbox
            .get_or_insert_with(buffers::take_outbox)
            .push(head);
        self.settle();
    }

    /// Remembers the peer's Close frame; when it is answered, the driver decides.
    pub(crate) fn hear_close(&mut self, frame: CloseFrame<'_>) {
        self.cold_state().received = Some(frame.code);
        self.note_ending(Side::Peer, frame.code, frame.reason);
    }

    /// Answers the Close frame that was heard, unless ours is out already. It is the last that is written: whoever
    /// drives ends the transport.
    pub(crate) fn answer_close(&mut self) {
        let Some((Side::Peer, code, reason)) = self.cold_state().ending.clone() else {
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
            self.cold_state().drop_deferred();
            self.settle();
            self.wake_waiting();
            self.wake_driver();
        } else {
            self.release_outbox();
        }
    }

    /// The peer broke the protocol.
    pub(crate) fn fail(&mut self, error: ProtocolError) {
        self.close(error.close_code(), error.as_str());
    }

    /// The transport failed: nothing can be written any more.
    pub(crate) fn fail_transport(&mut self, error: io::Error) {
        self.flow = Flow::Lost;
        self.outbox = None;
        let cold_state = self.cold_state();
        cold_state.failure.get_or_insert(error);
        cold_state.drop_deferred();
        cold_state.waiting.wake();
    }

    /// Its time is over. What waits is not sent any more, also by the kernel.
    pub(crate) fn reset_for(&mut self, end_cause: EndCause) {
        self.cold_state().end_cause = Some(end_cause);
        self.note_ending(end_cause.side(), CloseCode::ABNORMAL, end_cause.reason());
        self.io.reset();
    }

    /// Its time is over, and there is somebody to say goodbye to.
    pub(crate) fn close_for(&mut self, end_cause: EndCause) {
        if self.is_open() {
            self.cold_state().end_cause = Some(end_cause);
            self.close(CloseCode::GOING_AWAY, end_cause.reason());
        }
    }

    /// Why we have ended it, if it was for time or memory.
    pub(crate) fn end_cause(&self) -> Option<EndCause> {
        self.cold_state.as_ref()?.end_cause
    }

    /// It is over: how it ended is known from now on. The carrier stays, for lingering.
    pub(crate) fn finish(&mut self) -> Closed {
        self.note_ending(Side::Network, CloseCode::ABNORMAL, "");
        let sent = self.sender.close_sent();
        let cold_state = self.cold_state();
        let (by, code, reason) = cold_state.ending.clone().expect("noted just now");
        let closed = Closed {
            code,
            reason,
            by,
            sent,
            received: cold_state.received,
        };
        cold_state.closed = Some(closed.clone());
        cold_state.waiting.wake();
        cold_state.watching.wake();
        closed
    }

    /// Lets the socket go.
    pub(crate) fn drop_io(&mut self) {
        self.io = Io::None;
        self.permit = None;
        self.driven_by = DrivenBy::Nobody;
        self.outbox = None;
        self.unflushed = false;
        self.cold_state().drop_deferred();
    }

    /// Reading stops until there is room: then the driver is woken.
    pub(crate) fn pause(&mut self) {
        self.paused = !self.may_read();
    }

    /// Who drives from now on. A worker stays.
    #[inline]
    pub(crate) fn set_driver(&mut self, cx: &Context<'_>) {
        self.paused = false;
        match &mut self.driven_by {
            DrivenBy::Worker { .. } => {}
            DrivenBy::Task(waker) => (**waker).clone_from(cx.waker()),
            DrivenBy::Nobody => self.driven_by = DrivenBy::Task(cx.waker().clone().into()),
        }
    }

    /// A worker drives from now on.
    pub(crate) fn set_worker(&mut self, mailbox: Arc<Mailbox>, place: u32) {
        self.driven_by = DrivenBy::Worker { mailbox, place };
    }

    /// Wakes the driver for something other than the socket.
    pub(crate) fn wake_driver(&self) {
        match &self.driven_by {
            DrivenBy::Nobody => {}
            DrivenBy::Task(waker) => waker.wake_by_ref(),
            DrivenBy::Worker { mailbox, place } => mailbox.post(Note::Look(*place)),
        }
    }

    /// What wakes the driver.
    pub(crate) fn waker(&self) -> Waker {
        match &self.driven_by {
            DrivenBy::Nobody => Waker::noop().clone(),
            DrivenBy::Task(waker) => (**waker).clone(),
            DrivenBy::Worker { mailbox, place } => Mailbox::waker(mailbox, *place),
        }
    }

    /// Who waits until there may be room.
    pub(crate) fn waiting(&mut self) -> &mut Waiters {
        &mut self.cold_state().waiting
    }

    /// Who waits until it is over.
    pub(crate) fn watching(&mut self) -> &mut Waiters {
        &mut self.cold_state().watching
    }

    /// Whether a send goes to the socket at once from now on.
    #[inline]
    pub(crate) fn set_cork(&mut self, cork: Cork) {
        self.cork = cork;
    }

    /// From now on a send goes to the socket; what has gathered goes now, in one write.
    #[inline]
    pub(crate) fn uncork(&mut self) {
        self.cork = Cork::Off;
        self.flush();
    }

    /// Whether the answers to a batch gather still: if there are none, no more than before.
    #[inline]
    pub(crate) fn gathers(&mut self) -> bool {
        if self.outbox.is_none() {
            self.cork = Cork::Off;
        }
        self.cork == Cork::Inbox
    }

    #[inline]
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<Received>> {
        self.io.poll_read(cx, buffer)
    }

    /// Reads from a worker's own socket. `None` if it isn't one.
    #[inline]
    pub(crate) fn try_read_plain(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        self.io.try_read_plain(buffer)
    }

    /// Ends our direction of the transport.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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
        self.admit_behind(self.buffered_bytes(), payload_bytes)
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
        let cold_state = self.cold_state();
        if cold_state.ending.is_none() {
            cold_state.ending = Some((side, code, reason.to_owned()));
        }
    }
}

/// Compresses for [`Prepared`], with the thread's contexts.
pub(crate) fn with_pool<T>(work: impl FnOnce(&mut Pool) -> T) -> T {
    buffers::with_send_pool(work)
}
