//! One open WebSocket, as an endpoint sees it.

use std::{
    fmt,
    future::poll_fn,
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::HeaderMap;
use parking_lot::{Mutex, MutexGuard};
use sockeye_proto::{CloseCode, Message, MessageKind, extension::DeflateParams};

use crate::{
    closed::{Closed, Ending},
    connection::{
        buffers,
        message_writer::MessageWriter,
        permit::Permit,
        sent::Sent,
        waiters::{Ticket, Waiters},
        write::{OutboxError, Prepared, Writer},
    },
    error::{Error, ErrorKind},
    handshake::{Negotiated, Request},
};

/// One open WebSocket. It is cheap to clone, and sends from any task and any thread.
///
/// # Slow reader
///
/// Bytes that the socket doesn't take wait in the outbox, up to [`crate::Settings::outbox_bytes_max`]. When
/// it is full, [`Session::try_send`] gives the message back and [`Session::send`] waits.
///
/// # Closing
///
/// [`Session::close`] sends the Close frame behind the bytes that wait; after it nothing can be sent.
/// [`Session::closed`] tells how the connection ended.
#[derive(Clone)]
pub struct Session(Arc<SessionShared>);

/// The state that all handles of one connection share.
pub(crate) struct SessionShared {
    id: u64,
    negotiated: Arc<Negotiated>,
    /// Whether [`SessionShared::lock_in_order`] was called since the driver's turn began.
    locked_in_order: AtomicBool,
    /// Microseconds of the last round trip measured; [`UNMEASURED`] before the first.
    latency_micros: AtomicU32,
    writer: Mutex<Writer>,
}

/// More than an hour, which no round trip takes.
const UNMEASURED: u32 = u32::MAX;

/// A message that was not taken, given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrySendError<M> {
    /// No room in the outbox now.
    Full(M),
    /// The connection is closing or closed.
    Closed(M),
}

impl Session {
    pub(crate) fn new(shared: Arc<SessionShared>) -> Self {
        Self(shared)
    }

    #[inline]
    pub(crate) fn shared(&self) -> &SessionShared {
        &self.0
    }

    /// Returns its id, unique within the process and never used again.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Returns the request that opened it, while it is kept. In a server that is until the endpoint's
    /// `on_open` has returned, or always if the route says [`crate::Route::keep_request`]. In a client it is
    /// always kept. Its header fields are most of what an idle connection would cost.
    #[must_use]
    pub fn request(&self) -> Option<Arc<Request>> {
        self.0.lock_in_order().request().cloned()
    }

    /// Returns the header fields of the server's answer in a client, and none in a server.
    #[must_use]
    pub fn response_headers(&self) -> &HeaderMap {
        &self.0.negotiated.response_headers
    }

    /// Returns the subprotocol agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.0.negotiated.subprotocol.as_deref()
    }

    /// Returns the parameters of permessage-deflate, if it was agreed on.
    #[must_use]
    pub fn deflate(&self) -> Option<DeflateParams> {
        self.0.negotiated.deflate
    }

    /// Sends a message now, or gives it back. It goes to the socket at once, unless other bytes wait before
    /// it or a batch of input is being handled.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] if the outbox has no room, [`TrySendError::Closed`] after a Close frame.
    pub fn try_send<'m, M>(&self, message: M) -> Result<(), TrySendError<Message<'m>>>
    where
        M: Into<Message<'m>>,
    {
        let mut message = message.into();
        let sent = self.0.lock_in_order().try_send_owned(&mut message);
        match sent {
            Ok(()) => {
                buffers::recycle(message);
                Ok(())
            }
            Err(OutboxError::Full) => Err(TrySendError::Full(message)),
            Err(OutboxError::Closed) => Err(TrySendError::Closed(message)),
        }
    }

    /// Sends the answer to a message that the endpoint has received, however much waits. For an answer that comes later than
    /// [`crate::Reply`] could bring it.
    ///
    /// Such answers don't count towards [`crate::Settings::outbox_bytes_max`], so that a peer which has asked for much
    /// isn't a slow reader for it: the program limits them, by [`Session::buffered_bytes`] for example. While more than 64 KiB
    /// of answers wait, nothing more is read from the peer. What the socket doesn't take is charged to the memory budget at once.
    ///
    /// ```
    /// use sockeye::{Message, Session, TrySendError};
    ///
    /// /// Returns whether the answer was sent. If not, the caller comes back when the peer has read more.
    /// fn answer(session: &Session, answer: &str) -> bool {
    ///     let has_room = session.buffered_bytes() < 64 << 10;
    ///     has_room && session.try_reply(answer).is_ok()
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`TrySendError::Closed`] after a Close frame.
    pub fn try_reply<'m>(&self, message: impl Into<Message<'m>>) -> Result<(), TrySendError<()>> {
        let message = message.into().into_owned();
        let mut writer = self.0.lock_in_order();
        let sent = writer.try_reply_owned(message);
        // Here and not only by the driver, so that the caller can make the next large answer depend on what is used.
        writer.charge_to(&self.0.negotiated.settings.memory_budget);
        drop(writer);
        match sent {
            Ok(spare) => {
                spare.into_iter().for_each(buffers::recycle);
                Ok(())
            }
            Err(_) => Err(TrySendError::Closed(())),
        }
    }

    /// Sends a message, waiting for room in the outbox. A message that was sent is not yet delivered: only an
    /// answer of the peer says that it has arrived.
    ///
    /// A server without compression doesn't copy a large payload that the message owns or shares:
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use sockeye::{Error, Session, bytes::Bytes};
    ///
    /// async fn send_map(session: &Session, map: &Bytes, legend: &Arc<str>) -> Result<(), Error> {
    ///     session.send(Arc::clone(legend)).await?;
    ///     session.send(map.clone()).await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] once the connection is closing or closed.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing of the message was sent.
    pub fn send<'m>(
        &self,
        message: impl Into<Message<'m>>,
    ) -> impl Future<Output = Result<(), Error>> {
        let mut message = message.into();
        // Not an `async fn`, in whose future the message would lie twice.
        async move {
            let sent = self.0.lock_in_order().try_send_owned(&mut message);
            match sent {
                Ok(()) => {}
                Err(OutboxError::Closed) => return Err(Error::not_open(self.closed_now())),
                // Boxed, so that the future of a send is small although the wait needs more.
                Err(OutboxError::Full) => {
                    Box::pin(self.admitted(|writer| writer.try_send_owned(&mut message))).await?;
                }
            }
            buffers::recycle(message);
            Ok(())
        }
    }

    /// Sends a prepared message now, or returns why not.
    ///
    /// # Errors
    ///
    /// As [`Session::try_send`].
    pub fn try_send_prepared(&self, message: &Prepared) -> Result<(), TrySendError<()>> {
        self.0
            .lock_in_order()
            .try_send_prepared(message)
            .map_err(|refused| match refused {
                OutboxError::Full => TrySendError::Full(()),
                OutboxError::Closed => TrySendError::Closed(()),
            })
    }

    /// Sends a prepared message, waiting for room in the outbox.
    ///
    /// # Errors
    ///
    /// As [`Session::send`].
    ///
    /// # Cancel safety
    ///
    /// As [`Session::send`].
    pub async fn send_prepared(&self, message: &Prepared) -> Result<(), Error> {
        self.admitted(|writer| writer.try_send_prepared(message))
            .await
    }

    /// Begins one message whose bytes are written piece by piece. Waits while another such message is
    /// unfinished. Whole messages sent meanwhile wait behind it.
    ///
    /// # Errors
    ///
    /// As [`Session::send`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing was sent.
    pub async fn send_stream(&self, kind: MessageKind) -> Result<MessageWriter, Error> {
        self.admitted(Writer::begin_parts).await?;
        Ok(MessageWriter::new(Arc::clone(&self.0), kind))
    }

    /// Sends a ping with the first 125 bytes of `payload`.
    ///
    /// # Errors
    ///
    /// [`TrySendError`] as [`Session::try_send`].
    pub fn ping(&self, payload: &[u8]) -> Result<(), TrySendError<()>> {
        self.0
            .lock_in_order()
            .ping(payload)
            .map_err(|refused| match refused {
                OutboxError::Full => TrySendError::Full(()),
                OutboxError::Closed => TrySendError::Closed(()),
            })
    }

    /// Begins to close. The Close frame goes out behind the bytes that wait, then the peer has
    /// [`crate::Limits::close_timeout`] to answer. Without effect if the connection is closing already.
    ///
    /// A reason over 123 bytes is cut. A code that may not stand on the wire, such as 1005, makes an empty
    /// Close frame.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.0.lock_in_order().close(code, reason);
    }

    /// Waits until the connection has ended, and returns how.
    ///
    /// # Cancel safety
    ///
    /// Cancelling it has no effect.
    pub async fn closed(&self) -> Closed {
        let mut place = WaiterTicket::new(Writer::watching);
        poll_fn(|cx| {
            let mut writer = self.0.lock_in_order();
            match writer.closed() {
                Some(closed) => Poll::Ready(closed.clone()),
                None => {
                    place.wait(&self.0, &mut writer, cx.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Returns whether messages can still be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.lock_in_order().is_open()
    }

    /// Returns how many bytes wait to be written.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.0.lock_in_order().buffered_bytes()
    }

    /// Counts from now on what is sent to the peer, for [`Session::sent`]; `on_open` is early enough to
    /// miss nothing. It costs an idle session some 300 bytes, which one that isn't counted doesn't have.
    ///
    /// ```
    /// use sockeye::{Closed, Endpoint, Message, Reply, Session};
    ///
    /// struct Counted;
    ///
    /// impl Endpoint for Counted {
    ///     fn on_open(&mut self, session: &Session) {
    ///         session.count_sent();
    ///     }
    ///
    ///     fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
    ///         Reply::Echo
    ///     }
    ///
    ///     fn on_close(&mut self, session: &Session, _: &Closed) {
    ///         let sent = session.sent().unwrap_or_default();
    ///         println!("{} messages, {} bytes", sent.messages, sent.bytes);
    ///     }
    /// }
    /// ```
    pub fn count_sent(&self) {
        self.0.lock_in_order().count_sent();
    }

    /// Returns what was sent since [`Session::count_sent`], also after the end; `None` if that was never
    /// called.
    #[must_use]
    pub fn sent(&self) -> Option<Sent> {
        self.0.lock_in_order().sent()
    }

    /// Returns the round-trip time of the last heartbeat, to the peer's WebSocket and back; `None` before the
    /// first. See [`crate::Settings::heartbeat`].
    #[must_use]
    pub fn latency(&self) -> Option<Duration> {
        self.0.latency()
    }

    /// Returns the answer, if `message` is a heartbeat of the application's that is answered here.
    pub(crate) fn answer_to_heartbeat(&self, message: &Message<'_>) -> Option<Message<'static>> {
        let heartbeat = self.0.negotiated.settings.app_heartbeat.as_ref()?;
        heartbeat.answer(message)
    }

    /// Returns how it has ended, for statistics.
    pub(crate) fn ending(&self) -> Ending {
        let writer = self.0.lock_in_order();
        match (writer.end_cause(), writer.closed()) {
            (Some(end_cause), _) => Ending::EndCause(end_cause),
            (None, Some(closed)) => Ending::of(closed),
            (None, None) => Ending::Unclean,
        }
    }

    /// Keeps `permit` until the socket is closed.
    pub(crate) fn keep(&self, permit: Arc<Permit>) {
        self.0.lock_in_order().keep(permit);
    }

    pub(crate) fn closed_now(&self) -> Option<Closed> {
        self.0.lock_in_order().closed().cloned()
    }

    async fn admitted(
        &self,
        mut admit: impl FnMut(&mut Writer) -> Result<(), OutboxError>,
    ) -> Result<(), Error> {
        let mut place = WaiterTicket::new(Writer::waiting);
        poll_fn(|cx| self.poll_admitted(cx, &mut place, &mut admit)).await
    }

    /// Tries `admit`, and waits in `place` while it finds the outbox full. `place` is in the list of those that wait
    /// for room.
    pub(crate) fn poll_admitted(
        &self,
        cx: &mut Context<'_>,
        place: &mut WaiterTicket,
        admit: impl FnOnce(&mut Writer) -> Result<(), OutboxError>,
    ) -> Poll<Result<(), Error>> {
        let mut writer = self.0.lock_in_order();
        match admit(&mut writer) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(OutboxError::Closed) => Poll::Ready(Err(Error::not_open(writer.closed().cloned()))),
            Err(OutboxError::Full) => {
                place.wait(&self.0, &mut writer, cx.waker());
                Poll::Pending
            }
        }
    }
}

/// A task's entry in one of the writer's lists of waiters, removed on drop. It costs nothing until it is
/// used, since a send that finds room never waits.
pub(crate) struct WaiterTicket {
    list: fn(&mut Writer) -> &mut Waiters,
    ticket: Ticket,
    /// The session of that writer; `Some` from the first use on.
    shared: Option<Arc<SessionShared>>,
}

impl WaiterTicket {
    pub(crate) fn new(list: fn(&mut Writer) -> &mut Waiters) -> Self {
        Self {
            list,
            ticket: Ticket::default(),
            shared: None,
        }
    }

    /// Registers `waker` in the list of `writer`, which is the one of `shared`.
    pub(crate) fn wait(&mut self, shared: &Arc<SessionShared>, writer: &mut Writer, waker: &Waker) {
        self.shared.get_or_insert_with(|| Arc::clone(shared));
        (self.list)(writer).wait(&mut self.ticket, waker);
    }
}

impl Drop for WaiterTicket {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            let mut writer = shared.lock_in_order();
            (self.list)(&mut writer).remove(&mut self.ticket);
            writer.tidy();
        }
    }
}

impl SessionShared {
    pub(crate) fn new(negotiated: Arc<Negotiated>, writer: Writer) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        if let Some(request) = writer.request() {
            let (path, peer_addr) = (request.path(), request.peer_addr());
            let client_addr = request.client_addr();
            let Negotiated {
                subprotocol,
                deflate,
                ..
            } = &*negotiated;
            tracing::debug!(
                session = id,
                path,
                peer_addr = peer_addr.map(display),
                client_addr = client_addr.map(display),
                subprotocol = subprotocol.as_deref(),
                deflate = deflate.is_some(),
                "open"
            );
        }
        Self {
            id,
            negotiated,
            locked_in_order: AtomicBool::new(false),
            latency_micros: AtomicU32::new(UNMEASURED),
            writer: Mutex::new(writer),
        }
    }

    /// Drops the request, unless the route keeps it.
    pub(crate) fn forget_request(&self) {
        if !self.negotiated.keeps_request {
            let request = self.lock_in_order().forget_request();
            // After the lock is released: values of the program in the request may use the session when they
            // are dropped.
            drop(request);
        }
    }

    pub(crate) fn negotiated(&self) -> &Negotiated {
        &self.negotiated
    }

    #[inline]
    pub(crate) fn lock_in_order(&self) -> MutexGuard<'_, Writer> {
        let writer = self.lock_for_driver();
        self.locked_in_order.store(true, Ordering::Relaxed);
        writer
    }

    /// Returns whether [`SessionShared::lock_in_order`] was called since [`SessionShared::begin_turn`]. A
    /// thread that learns of something done under that lock sees `true` here, too.
    #[inline]
    pub(crate) fn was_locked(&self) -> bool {
        self.locked_in_order.load(Ordering::Relaxed)
    }

    /// Begins a turn of the driver. To be called under the lock.
    #[inline]
    pub(crate) fn begin_turn(&self) {
        self.locked_in_order.store(false, Ordering::Relaxed);
    }

    /// Locks the writer for the driver at the beginning and at the end of its turn. The reply batch stays
    /// open: the driver itself keeps the order.
    #[inline]
    pub(crate) fn lock_for_driver(&self) -> MutexGuard<'_, Writer> {
        // Only a stream of the program can panic under the lock, and the writer stays usable then.
        self.writer.lock()
    }

    /// Notes that the peer has answered a heartbeat after this time.
    pub(crate) fn measure(&self, latency: Duration) {
        let micros = u32::try_from(latency.as_micros()).unwrap_or(UNMEASURED);
        self.latency_micros
            .store(micros.min(UNMEASURED - 1), Ordering::Relaxed);
    }

    /// Returns the round-trip time measured last.
    fn latency(&self) -> Option<Duration> {
        let micros = self.latency_micros.load(Ordering::Relaxed);
        (micros != UNMEASURED).then(|| Duration::from_micros(micros.into()))
    }

    /// Leaves all groups, and settles how the connection ended.
    pub(crate) fn finish(&self) -> Closed {
        // One group at a time, because a group's lock on its members is taken before that of the writer.
        loop {
            let Some(slice) = self.lock_in_order().cold_state().memberships.end() else {
                break;
            };
            slice.remove(self);
        }
        let closed = self.lock_in_order().finish();
        let Closed { sent, received, .. } = &closed;
        tracing::debug!(
            session = self.id,
            sent = sent.map(u16::from),
            received = received.map(u16::from),
            "{closed}"
        );
        closed
    }
}

/// Two handles are equal if they are of the same connection. Equality and hash depend on [`Session::id`] alone, so that a
/// session may be the key of a map although what it points to changes; Clippy's `mutable_key_type` can't see that.
impl PartialEq for Session {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Session {}

impl Hash for Session {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.0.id)
            .field("is_open", &self.is_open())
            .finish_non_exhaustive()
    }
}

impl<M> fmt::Display for TrySendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the outbox is full",
            Self::Closed(_) => "the connection is closed",
        })
    }
}

impl<M: fmt::Debug> std::error::Error for TrySendError<M> {}

impl<M> From<TrySendError<M>> for Error {
    fn from(error: TrySendError<M>) -> Self {
        match error {
            TrySendError::Full(_) => Self::new(ErrorKind::Limit, "the outbox is full"),
            TrySendError::Closed(_) => Self::not_open(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_handles_of_a_session_share_is_small() {
        // With the counters of its Arc these are 144 bytes, a size of the allocator; one more word would cost
        // 16. A build with assertions has one word more, mio's.
        let assertions = 8 * usize::from(cfg!(debug_assertions));
        assert!(size_of::<SessionShared>() <= 120 + assertions);
    }
}
