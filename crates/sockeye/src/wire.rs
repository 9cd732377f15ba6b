//! The socket of one session, and what waits to be written to it.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use sockeye_proto::{
    CloseCode, CloseFrame, Event, Kind, Message, PreparedForm, ProtocolError, SendError, Sender,
    extension::{End, Pool},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    Closed, Prepared, Side, Stream, lend,
    outbox::{Outbox, Slices},
    server::Permit,
    waiters::Waiters,
};

/// Bytes. A payload from here on goes to the socket from where it lies, with its header before it.
const LARGE_BYTES_MIN: usize = 16 << 10;

/// Bytes. 14: the longest frame header, counted for each message that waits.
const HEAD_BYTES: usize = 14;

/// The socket of one session, the sending half of its protocol, and what waits to be written.
/// All of it stands under the session's one lock; nothing here blocks.
pub(crate) struct Wire {
    /// None once the connection has ended.
    stream: Option<Box<dyn Stream>>,
    /// Dropped with the stream: what counts it.
    permit: Option<Permit>,
    sender: Sender,
    outbox: Outbox,
    outbox_bytes_max: usize,
    cork: Cork,
    /// Whether the driver was woken for what waits under [`Cork::Inbox`].
    nudged: bool,
    /// Messages that came while another was being sent in parts.
    deferred: VecDeque<Message<'static>>,
    /// The sum of their payloads and headers.
    deferred_bytes: usize,
    /// Whether the driver has stopped reading until there is room again.
    paused: bool,
    /// Whether the stream itself holds bytes back, as TLS does.
    unflushed: bool,
    /// Who drives the connection, woken when the socket can be read or written again.
    driver: Option<Waker>,
    /// Who waits for room in the outbox, or for the end of a message in parts.
    waiting: Waiters,
    /// Who ended it first, and how.
    ending: Option<(Side, CloseCode, String)>,
    received: Option<CloseCode>,
    failure: Option<io::Error>,
    /// Whether the transport has failed.
    lost: bool,
    closed: Option<Closed>,
    watching: Waiters,
}

/// Whether a send goes to the socket at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cork {
    /// It does.
    Off,
    /// A batch of input is being worked off; the driver flushes at its end.
    Batch,
    /// The program has more messages to look at; the driver is woken and flushes, if the program
    /// doesn't come to it first.
    Inbox,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No room now.
    Full,
    /// The connection is closing or closed.
    Closed,
}

impl Wire {
    pub(crate) fn new(stream: Box<dyn Stream>, sender: Sender, outbox_bytes_max: usize) -> Self {
        Self {
            stream: Some(stream),
            permit: None,
            sender,
            outbox: Outbox::default(),
            outbox_bytes_max,
            cork: Cork::Off,
            nudged: false,
            deferred: VecDeque::new(),
            deferred_bytes: 0,
            paused: false,
            unflushed: false,
            driver: None,
            waiting: Waiters::default(),
            ending: None,
            received: None,
            failure: None,
            lost: false,
            closed: None,
            watching: Waiters::default(),
        }
    }

    /// Keeps `permit` as long as the stream.
    pub(crate) fn keep(&mut self, permit: Permit) {
        self.permit = self.stream.as_ref().map(|_| permit);
    }

    /// Bytes that wait to be written.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.outbox.bytes() + self.deferred_bytes
    }

    /// Whether replies may still be queued; if not, reading pauses.
    pub(crate) fn has_room(&self) -> bool {
        self.buffered_bytes() <= self.outbox_bytes_max
    }

    /// Whether messages can still be sent.
    pub(crate) fn is_open(&self) -> bool {
        self.stream.is_some() && self.sender.close_sent().is_none() && !self.lost
    }

    pub(crate) fn close_sent(&self) -> Option<CloseCode> {
        self.sender.close_sent()
    }

    pub(crate) fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// Whether the transport has failed.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Why, once; nothing if the peer has said goodbye before it went.
    pub(crate) fn failure(&mut self) -> Option<io::Error> {
        self.failure.take_if(|_| self.received.is_none())
    }

    /// Takes the message whole or not at all: if it fits, or if nothing waits.
    pub(crate) fn try_send(&mut self, message: &Message<'_>) -> Result<(), Refused> {
        self.admit(message.len())?;
        self.send(message);
        Ok(())
    }

    /// The same for a prepared message.
    pub(crate) fn try_send_prepared(&mut self, prepared: &Prepared) -> Result<(), Refused> {
        let message = prepared.message();
        self.admit(message.len())?;
        match self.sender.prepared_form(message.len()) {
            Ok(PreparedForm::Own) | Err(SendError::MidMessage) => self.send(message),
            Ok(form) => self.transmit_shared(prepared.frame(form)),
            Err(_) => return Err(Refused::Closed),
        }
        Ok(())
    }

    /// Takes a reply of the endpoint, whatever waits: reading has paused before it could be too much.
    #[inline]
    pub(crate) fn send(&mut self, message: &Message<'_>) {
        if self.sender.is_mid_message() {
            self.deferred_bytes += message.len() + HEAD_BYTES;
            self.deferred.push_back(message.clone().into_owned());
            return;
        }
        if message.len() >= LARGE_BYTES_MIN && self.send_large(message) {
            return;
        }
        if self.cork == Cork::Off && self.outbox.is_empty() {
            lend::sending(|lent| {
                if self
                    .sender
                    .send(message, &mut lent.pool, &mut lent.out)
                    .is_ok()
                {
                    self.transmit(&lent.out);
                }
            });
        } else {
            let (sender, outbox) = (&mut self.sender, &mut self.outbox);
            let _ = lend::sending(|lent| {
                outbox.append(|tail| sender.send(message, &mut lent.pool, tail))
            });
            self.settle();
        }
    }

    /// Begins a message in parts.
    pub(crate) fn begin_parts(&mut self) -> Result<(), Refused> {
        if !self.is_open() {
            return Err(Refused::Closed);
        }
        self.sender.begin_parts().map_err(|error| match error {
            SendError::MidMessage => Refused::Full,
            _ => Refused::Closed,
        })
    }

    /// Sends a part, if it fits.
    pub(crate) fn try_send_part(
        &mut self,
        kind: Kind,
        payload: &[u8],
        end: End,
    ) -> Result<(), Refused> {
        // What was deferred waits for this message's end, so it must not take its room.
        self.admit_behind(self.outbox.bytes(), payload.len())?;
        let (sender, outbox) = (&mut self.sender, &mut self.outbox);
        lend::sending(|lent| {
            outbox.append(|tail| sender.send_part(kind, payload, end, &mut lent.pool, tail))
        })
        .map_err(|_| Refused::Closed)?;
        if end == End::Yes {
            self.deferred_bytes = 0;
            for message in std::mem::take(&mut self.deferred) {
                self.send(&message);
            }
            self.waiting.wake();
        }
        self.settle();
        self.resume();
        Ok(())
    }

    pub(crate) fn ping(&mut self, payload: &[u8]) -> Result<(), Refused> {
        self.admit(payload.len())?;
        let sender = &mut self.sender;
        let _ = self.outbox.append(|tail| sender.ping(payload, tail));
        self.settle();
        Ok(())
    }

    /// Answers a ping.
    pub(crate) fn answer(&mut self, event: &Event<'_>) {
        let sender = &mut self.sender;
        self.outbox.append(|tail| sender.answer(event, tail));
        self.settle();
    }

    /// Remembers the peer's Close frame; when it is answered, the driver decides.
    pub(crate) fn hear_close(&mut self, frame: CloseFrame<'_>) {
        self.received = Some(frame.code);
        self.note_ending(Side::Peer, frame.code, frame.reason);
    }

    /// Answers the Close frame that was heard, unless ours is out already.
    pub(crate) fn answer_close(&mut self) {
        if let Some((Side::Peer, code, reason)) = self.ending.clone() {
            self.close(code, &reason);
        }
    }

    /// Sends our Close frame, if it isn't out yet.
    pub(crate) fn close(&mut self, code: CloseCode, reason: &str) {
        let sender = &mut self.sender;
        if self
            .outbox
            .append(|tail| sender.close(code, reason, tail))
            .is_ok()
        {
            self.note_ending(Side::Us, code, reason);
            self.drop_deferred();
            self.settle();
            self.waiting.wake();
            self.wake_driver();
        }
    }

    /// The peer broke the protocol.
    pub(crate) fn fail(&mut self, error: ProtocolError) {
        self.close(error.close_code(), error.as_str());
    }

    /// The transport failed: nothing can be written any more.
    pub(crate) fn fail_transport(&mut self, error: io::Error) {
        self.failure.get_or_insert(error);
        self.lost = true;
        self.outbox.clear();
        self.drop_deferred();
        self.waiting.wake();
    }

    /// It is over: how it ended is known from now on. `stream` stays, for lingering.
    pub(crate) fn finish(&mut self) -> Closed {
        self.note_ending(Side::Network, CloseCode::ABNORMAL, "");
        let (by, code, reason) = self.ending.clone().expect("noted just now");
        let closed = Closed {
            code,
            reason,
            by,
            sent: self.sender.close_sent(),
            received: self.received,
        };
        self.closed = Some(closed.clone());
        self.waiting.wake();
        self.watching.wake();
        closed
    }

    /// Lets the socket go.
    pub(crate) fn drop_stream(&mut self) {
        self.stream = None;
        self.permit = None;
        self.driver = None;
        self.outbox.clear();
        self.drop_deferred();
    }

    /// Reading stops until there is room: then the driver is woken.
    pub(crate) fn pause(&mut self) {
        self.paused = !self.has_room();
    }

    /// Whom to wake when the socket is ready.
    pub(crate) fn register_driver(&mut self, waker: &Waker) {
        self.paused = false;
        match &mut self.driver {
            Some(driver) => driver.clone_from(waker),
            None => self.driver = Some(waker.clone()),
        }
    }

    /// Wakes the driver for something other than the socket.
    pub(crate) fn wake_driver(&self) {
        if let Some(driver) = &self.driver {
            driver.wake_by_ref();
        }
    }

    /// Who waits until there may be room.
    pub(crate) fn waiting(&mut self) -> &mut Waiters {
        &mut self.waiting
    }

    /// Who waits until it is over.
    pub(crate) fn watching(&mut self) -> &mut Waiters {
        &mut self.watching
    }

    /// From now on a send only queues.
    pub(crate) fn cork(&mut self, cork: Cork, lent: &mut Vec<u8>) {
        self.cork = cork;
        self.outbox.borrow_tail(lent);
    }

    /// From now on a send goes to the socket; what has gathered goes now, in one write.
    pub(crate) fn uncork(&mut self, lent: &mut Vec<u8>) {
        self.cork = Cork::Off;
        self.flush();
        self.outbox.return_tail(lent);
    }

    /// Sets the cork without a lent buffer.
    pub(crate) fn set_cork(&mut self, cork: Cork) {
        self.cork = cork;
        self.nudged = false;
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Ok(0));
        };
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(stream).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(buffer.filled().len())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Ends our direction of the transport.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_shutdown(cx).map(|_| ()),
            None => Poll::Ready(()),
        }
    }

    /// Writes as much as the socket takes. Whether all is out.
    pub(crate) fn flush(&mut self) -> bool {
        if self.outbox.is_empty() && !self.unflushed {
            return true;
        }
        self.write_on(&[], &[]);
        self.outbox.is_empty() && !self.unflushed
    }

    fn admit(&self, payload_bytes: usize) -> Result<(), Refused> {
        self.admit_behind(self.buffered_bytes(), payload_bytes)
    }

    fn admit_behind(&self, waiting: usize, payload_bytes: usize) -> Result<(), Refused> {
        if !self.is_open() {
            return Err(Refused::Closed);
        }
        if waiting > 0 && waiting + payload_bytes + HEAD_BYTES > self.outbox_bytes_max {
            return Err(Refused::Full);
        }
        Ok(())
    }

    /// Writes header and payload from where they lie. `false`: it must go the usual way.
    fn send_large(&mut self, message: &Message<'_>) -> bool {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        match self
            .sender
            .send_head(message.kind(), message.len(), &mut head)
        {
            Ok(true) => self.write_on(&head, message.as_bytes()),
            Ok(false) => return false,
            Err(_) => {}
        }
        true
    }

    /// Writes `bytes`; what the socket doesn't take waits. Only while nothing waits.
    fn transmit(&mut self, bytes: &[u8]) {
        self.write_on(bytes, &[]);
    }

    fn transmit_shared(&mut self, bytes: Bytes) {
        if self.cork != Cork::Off || !self.outbox.is_empty() {
            self.outbox.push_shared(bytes);
            return self.settle();
        }
        match self.write(&[], &bytes) {
            Some(written) if written < bytes.len() => {
                self.outbox.push_shared(bytes.slice(written..));
            }
            _ => {}
        }
    }

    /// After something was queued: writes it, unless somebody will.
    fn settle(&mut self) {
        match self.cork {
            Cork::Off => {
                self.flush();
            }
            Cork::Batch => {}
            Cork::Inbox if self.nudged => {}
            Cork::Inbox => {
                self.nudged = true;
                self.wake_driver();
            }
        }
    }

    /// Writes what waits, then `head`, then `payload`; keeps a copy of what the socket refuses.
    fn write_on(&mut self, head: &[u8], payload: &[u8]) {
        let Some(written) = self.write(head, payload) else {
            return;
        };
        let head_written = written.min(head.len());
        self.outbox.push(&head[head_written..]);
        self.outbox.push(&payload[written - head_written..]);
    }

    /// Writes what waits, then `head`, then `payload`, until the socket refuses. How many bytes of
    /// the latter two are out; `None` if the transport failed.
    fn write(&mut self, head: &[u8], payload: &[u8]) -> Option<usize> {
        let Some(stream) = &mut self.stream else {
            return None;
        };
        let waker = self.driver.as_ref().unwrap_or(Waker::noop());
        let cx = &mut Context::from_waker(waker);
        let mut written = 0;
        let had_room = self.outbox.bytes() <= self.outbox_bytes_max;
        let failure = loop {
            let mut slices = Slices::new();
            self.outbox.slices(&mut slices);
            slices.push(&head[written.min(head.len())..]);
            slices.push(&payload[written.saturating_sub(head.len())..]);
            if slices.as_slice().is_empty() {
                match Pin::new(&mut *stream).poll_flush(cx) {
                    Poll::Ready(Ok(())) => self.unflushed = false,
                    Poll::Pending => self.unflushed = true,
                    Poll::Ready(Err(error)) => break Some(error),
                }
                break None;
            }
            match Pin::new(&mut *stream).poll_write_vectored(cx, slices.as_slice()) {
                Poll::Ready(Ok(0)) => break Some(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    let queued = count.min(self.outbox.bytes());
                    if queued > 0 {
                        self.outbox.advance(queued);
                    }
                    written += count - queued;
                }
                Poll::Pending => break None,
                Poll::Ready(Err(error)) => break Some(error),
            }
        };
        if let Some(error) = failure {
            self.fail_transport(error);
            self.wake_driver();
            return None;
        }
        if had_room || self.outbox.bytes() <= self.outbox_bytes_max {
            self.waiting.wake();
        }
        self.resume();
        Some(written)
    }

    /// Wakes the driver if it waits for the room that there is now.
    fn resume(&mut self) {
        if self.paused && self.has_room() {
            self.paused = false;
            self.wake_driver();
        }
    }

    fn note_ending(&mut self, side: Side, code: CloseCode, reason: &str) {
        if self.ending.is_none() {
            self.ending = Some((side, code, reason.to_owned()));
        }
    }

    fn drop_deferred(&mut self) {
        self.deferred = VecDeque::new();
        self.deferred_bytes = 0;
    }
}

/// Compresses for [`Prepared`], with the thread's contexts.
pub(crate) fn with_pool<T>(work: impl FnOnce(&mut Pool) -> T) -> T {
    lend::sending(|lent| work(&mut lent.pool))
}
