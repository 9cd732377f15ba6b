//! The loop between a socket and a connection: read, hand out, answer, flush, close.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use sockeye_proto::{Event, Input, ProtocolError, Receiver, Role, Sender, extension::Pool};
use tokio::time::{Sleep, sleep};

use crate::{
    Closed, Error, ErrorKind,
    established::Established,
    lend,
    session::Shared,
    wire::{Cork, Wire},
};

/// How long the answer to a Close frame, or to a broken rule, may wait for the program to answer the
/// messages before it. Browsers give a server 2 s.
const GRACE: Duration = Duration::from_secs(1);

/// Reads. After so many without a pause other tasks get their turn: 256 KiB are up to 40,000 messages,
/// some milliseconds.
const READS_PER_POLL: usize = 4;

/// The receiving side of one connection and its end. Polled by the endpoint's task, or by whoever
/// is in `recv`.
///
/// ```text
///           Close both ways, or failure          our direction ended      peer's ended
///   Open ───────────────────────────────> Ending ───────────────────> Draining ───────> Done
///     └────────────── transport gone ───────────────────────────────────────────────────^
/// ```
pub(crate) struct Driver {
    shared: Arc<Shared>,
    receiver: Receiver,
    role: Role,
    /// Input that came while nobody had room for what is in it: `pending[handled..]`, still masked.
    /// Empty once all is handled.
    pending: Vec<u8>,
    /// 0 <= handled <= pending.len()
    handled: usize,
    stage: Stage,
    close_timeout: Duration,
    /// Our Close frame, held back until the program has answered what came before its cause.
    owed: Option<Owed>,
    /// Runs from our Close frame on.
    deadline: Option<Pin<Box<Sleep>>>,
}

struct Owed {
    cause: Cause,
    /// When the program has had its time.
    grace: Pin<Box<Sleep>>,
}

#[derive(Clone, Copy)]
enum Cause {
    /// The peer has sent a Close frame.
    PeerClosed,
    /// The peer has broken a rule.
    Broken(ProtocolError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    Ending,
    Draining,
    Done,
}

/// Where events go.
pub(crate) trait Sink {
    /// Pings are answered already.
    fn handle_event(&mut self, shared: &Shared, event: Event<'_>);

    fn handle_error(&mut self, error: Error);

    fn handle_closed(&mut self, closed: &Closed);

    /// Whether another event can be taken.
    fn has_room(&self) -> bool;

    /// Whether the program has answered all that it was given, or could have.
    fn is_idle(&self) -> bool;

    /// How sends are corked after a batch.
    fn cork(&self) -> Cork;
}

impl Driver {
    pub(crate) fn new(established: Established) -> Result<(Self, Arc<Shared>), Error> {
        let Established {
            stream,
            leftover,
            role,
            settings,
            deflate,
            subprotocol,
            request,
            response_headers,
        } = established;
        let agreed = deflate.zip(settings.deflate.as_ref());
        let sender = match role {
            Role::Server => Sender::server(agreed),
            Role::Client => Sender::client(entropy()?, agreed),
        };
        let close_timeout = settings.limits.close_timeout;
        let receiver = Receiver::new(role, Arc::new(settings.limits), deflate);
        let wire = Wire::new(stream, sender, settings.outbox_bytes_max);
        let shared = Shared::new(request, response_headers, subprotocol, deflate, wire);
        let shared = Arc::new(shared);
        let driver = Self {
            shared: Arc::clone(&shared),
            receiver,
            role,
            pending: leftover,
            handled: 0,
            stage: Stage::Open,
            close_timeout,
            owed: None,
            deadline: None,
        };
        Ok((driver, shared))
    }

    pub(crate) fn receiver(&mut self) -> &mut Receiver {
        &mut self.receiver
    }

    /// Whether no more events come.
    pub(crate) fn has_ended(&self) -> bool {
        self.stage != Stage::Open
    }

    /// The program has looked at all that came: its sends go to the socket at once again.
    pub(crate) fn release(&self) {
        self.shared.wire().set_cork(Cork::Off);
    }

    /// Whether the transport is gone.
    pub(crate) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Sees to it that somebody drives.
    pub(crate) fn wake(&self) {
        self.shared.wire().wake_driver();
    }

    /// Works until nothing more can be done now. Ready once the transport is gone.
    pub(crate) fn poll_drive(&mut self, cx: &mut Context<'_>, sink: &mut impl Sink) -> Poll<()> {
        for _ in 0..READS_PER_POLL {
            match self.stage {
                Stage::Open => ready!(lend::reading(|lent| self.poll_open(cx, sink, lent))),
                Stage::Ending => ready!(self.poll_ending(cx)),
                Stage::Draining => ready!(lend::reading(|lent| self.poll_draining(cx, lent))),
                Stage::Done => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ends it without ceremony, as when the runtime goes down.
    pub(crate) fn abort(&mut self, sink: &mut impl Sink) {
        if self.stage == Stage::Open {
            self.finish(sink);
        }
        self.done();
    }

    /// One read and all that follows from it. Ready: go on.
    fn poll_open(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut impl Sink,
        lent: &mut lend::Reading,
    ) -> Poll<()> {
        let shared = Arc::clone(&self.shared);
        self.pay(cx, sink);
        let mut wire = shared.wire();
        wire.register_driver(cx.waker());
        wire.set_cork(Cork::Off);
        let flushed = wire.flush();
        if wire.is_lost() {
            // What the peer said before it went may still be there, a Close frame above all.
            let is_over = self.receiver.has_ended() || !sink.has_room();
            if !is_over && self.pending.is_empty() && self.poll_deadline(cx).is_pending() {
                let read = wire.poll_read(cx, &mut lent.buffer);
                if let Poll::Ready(Ok(len)) = read {
                    self.pending = lent.buffer[..len].to_vec();
                }
            }
            if is_over || self.pending.is_empty() {
                drop(wire);
                return self.lose(sink);
            }
        }
        if self.receiver.has_ended() && self.owed.is_none() && flushed {
            drop(wire);
            self.finish(sink);
            return Poll::Ready(());
        }
        if wire.close_sent().is_some() && self.poll_deadline(cx).is_ready() {
            drop(wire);
            self.finish(sink);
            self.done();
            return Poll::Ready(());
        }
        wire.pause();
        if self.receiver.has_ended() || !wire.has_room() || !sink.has_room() {
            return Poll::Pending;
        }
        if self.pending.is_empty() {
            match wire.poll_read(cx, &mut lent.buffer) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(0)) if wire.close_sent().is_some() => {
                    // The peer hung up on our Close frame.
                    drop(wire);
                    self.finish(sink);
                    self.done();
                    Poll::Ready(())
                }
                Poll::Ready(Ok(0)) => {
                    let failure = io::ErrorKind::UnexpectedEof.into();
                    wire.fail_transport(failure);
                    Poll::Ready(())
                }
                Poll::Ready(Err(failure)) => {
                    wire.fail_transport(failure);
                    Poll::Ready(())
                }
                Poll::Ready(Ok(len)) => {
                    wire.cork(Cork::Batch, &mut lent.out);
                    drop(wire);
                    let bytes = &mut lent.buffer[..len];
                    let handled = self.handle_bytes(bytes, &mut lent.pool, sink);
                    if handled < len {
                        self.pending = bytes[handled..].to_vec();
                    }
                    self.uncork(sink, &mut lent.out);
                    Poll::Ready(())
                }
            }
        } else {
            wire.cork(Cork::Batch, &mut lent.out);
            drop(wire);
            let mut pending = std::mem::take(&mut self.pending);
            let bytes = &mut pending[self.handled..];
            let handled = self.handled + self.handle_bytes(bytes, &mut lent.pool, sink);
            self.handled = 0;
            // It stays where it is: copied, the rest would be copied again for each message in it.
            if handled < pending.len() {
                (self.pending, self.handled) = (pending, handled);
            }
            self.uncork(sink, &mut lent.out);
            Poll::Ready(())
        }
    }

    /// Hands out what `bytes` hold, as long as there is room. How many bytes of it are done with.
    fn handle_bytes(&mut self, bytes: &mut [u8], pool: &mut Pool, sink: &mut impl Sink) -> usize {
        let len = bytes.len();
        let mut input = Input::new(bytes);
        loop {
            match self.receiver.poll_event(&mut input, pool) {
                Ok(None) => return len,
                Ok(Some(event)) => {
                    match event {
                        Event::Ping(_) => self.shared.wire().answer(&event),
                        Event::Close(frame) => {
                            self.shared.wire().hear_close(frame);
                            self.owed = Some(Owed::new(Cause::PeerClosed));
                        }
                        _ => {}
                    }
                    sink.handle_event(&self.shared, event);
                }
                Err(error) => {
                    self.owed = Some(Owed::new(Cause::Broken(error)));
                    return len;
                }
            }
            if !sink.has_room() || !self.shared.wire().has_room() {
                return len - input.rest().len();
            }
        }
    }

    /// Sends the Close frame that is owed, once the program is idle or has had its time.
    fn pay(&mut self, cx: &mut Context<'_>, sink: &mut impl Sink) {
        let due = |owed: &mut Owed| sink.is_idle() || owed.grace.as_mut().poll(cx).is_ready();
        let Some(owed) = self.owed.take_if(due) else {
            return;
        };
        match owed.cause {
            Cause::PeerClosed => self.shared.wire().answer_close(),
            Cause::Broken(error) => {
                self.shared.wire().fail(error);
                sink.handle_error(error.into());
            }
        }
    }

    fn uncork(&mut self, sink: &impl Sink, lent: &mut Vec<u8>) {
        let mut wire = self.shared.wire();
        wire.uncork(lent);
        wire.set_cork(sink.cork());
    }

    /// The transport is gone.
    fn lose(&mut self, sink: &mut impl Sink) -> Poll<()> {
        let failure = self.shared.wire().failure();
        if let Some(failure) = failure {
            let message = match failure.kind() {
                io::ErrorKind::UnexpectedEof => "the peer hung up without a Close frame",
                _ => "the connection was lost",
            };
            sink.handle_error(Error::new(ErrorKind::Io, message).with_source(failure));
        }
        self.finish(sink);
        self.done();
        Poll::Ready(())
    }

    /// How it ended is settled: says so.
    fn finish(&mut self, sink: &mut impl Sink) {
        let closed = self.shared.finish();
        self.pending = Vec::new();
        self.handled = 0;
        // RFC 6455 section 7.1.1: the server ends TCP first; a client waits for it, unless it fails
        // the connection.
        self.stage = match self.role {
            Role::Client if closed.is_clean() => Stage::Draining,
            _ => Stage::Ending,
        };
        sink.handle_closed(&closed);
    }

    fn poll_ending(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let shutdown = {
            let mut wire = self.shared.wire();
            wire.register_driver(cx.waker());
            wire.poll_shutdown(cx)
        };
        if shutdown.is_ready() {
            self.stage = Stage::Draining;
        } else {
            ready!(self.poll_deadline(cx));
            self.done();
        }
        Poll::Ready(())
    }

    /// Reads to the end, so that the kernel doesn't answer unread bytes with a reset that overtakes
    /// our Close frame.
    fn poll_draining(&mut self, cx: &mut Context<'_>, lent: &mut lend::Reading) -> Poll<()> {
        // Before the read: to a peer that sends without end, there is always something to read.
        if self.poll_deadline(cx).is_ready() {
            self.done();
            return Poll::Ready(());
        }
        let read = self.shared.wire().poll_read(cx, &mut lent.buffer);
        if matches!(ready!(read), Ok(0) | Err(_)) {
            self.done();
        }
        Poll::Ready(())
    }

    fn done(&mut self) {
        self.shared.wire().drop_stream();
        self.deadline = None;
        self.stage = Stage::Done;
    }

    /// Whether the time for closing is over. Starts the clock at the first call.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let close_timeout = self.close_timeout;
        self.deadline
            .get_or_insert_with(|| Box::pin(sleep(close_timeout)))
            .as_mut()
            .poll(cx)
    }
}

impl Drop for Driver {
    /// The runtime went down around it: whoever waits for the end hears of it, and groups let go.
    fn drop(&mut self) {
        if self.stage == Stage::Open {
            self.shared.finish();
        }
        self.done();
    }
}

impl Owed {
    fn new(cause: Cause) -> Self {
        Self {
            cause,
            grace: Box::pin(sleep(GRACE)),
        }
    }
}

fn entropy() -> Result<[u8; 32], Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        Error::new(ErrorKind::Config, "the system gives no entropy").with_source(error)
    })?;
    Ok(seed)
}
