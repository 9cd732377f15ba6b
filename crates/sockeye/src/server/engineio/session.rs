//! One session: what its requests and its WebSocket share.

use std::{
    future::poll_fn,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use sockeye_proto::CloseCode;
use tokio::{
    sync::{Mutex as TurnLock, MutexGuard as TurnGuard},
    time::{Instant, timeout},
};

use super::{
    lifecycle::{Carrier, End, Lifecycle, NotPolling},
    packet::{PacketQueue, ServerPacket, encode},
};
use crate::{
    handshake::ClientId,
    server::polling::{
        AlreadyReceiving, Check, Opener, Received, Relay, RelayEnd, RelayHolder, SessionTable,
        TableSession,
    },
    time::later,
};

/// One session, whose endpoint runs in a task of its own.
pub(super) struct EngineSession {
    /// The session's id. It is a secret, and no program gets it.
    id: Arc<str>,
    /// The credentials of the last request of which it is known who has sent it.
    credentials: AtomicU64,
    /// Who has opened the session. Nobody else may use it.
    client: Option<ClientId>,
    relay: Relay<PacketQueue>,
    /// Held by what sends: one request, or the WebSocket.
    sending: TurnLock<()>,
    state: Mutex<SessionState>,
    /// Where the times of `state.lifecycle` begin.
    origin: Instant,
    /// `None` for the session that a WebSocket has begun, which nobody looks up.
    owner: Option<Weak<EngineSessions>>,
}

struct SessionState {
    lifecycle: Lifecycle,
    /// Wakes the request that receives when something else than a message answers it.
    receiver: Option<Waker>,
}

/// The sessions over HTTP of one path.
pub(super) type EngineSessions = SessionTable<EngineSession>;

/// The times of a heartbeat.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeartbeatTimes {
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
}

/// Who receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReceiverKind {
    Request,
    /// A request that knows that a WebSocket asks to take over.
    ProbedRequest,
    WebSocket,
}

/// What a receiver is given.
pub(super) enum Next {
    Packets(Vec<ServerPacket>),
    /// The session has closed itself.
    Closed(RelayEnd),
    /// The session has ended otherwise.
    Ended(End),
    /// A WebSocket asks to take over.
    Probed,
    /// A WebSocket has taken over.
    TakenOver,
}

/// The turn of a request that sends. If it is dropped before it is done, messages may be lost, and the session ends.
pub(super) struct PostTurn<'s> {
    session: &'s EngineSession,
    is_done: bool,
    _turn: TurnGuard<'s, ()>,
}

/// What receives the messages of a session: one request, or the WebSocket. If it is dropped before it has left, the client may
/// have lost messages, and the session ends.
pub(super) struct Receiver {
    session: Arc<EngineSession>,
    has_left: bool,
}

impl EngineSession {
    /// Creates a session, which has its first receiver already: [`Receiver::attached`].
    pub(super) fn new(
        id: Arc<str>,
        opener: Opener,
        (times, carrier): (HeartbeatTimes, Carrier),
        batch_bytes_max: usize,
        owner: Option<Weak<EngineSessions>>,
    ) -> Self {
        let relay = Relay::new(batch_bytes_max);
        // Nobody else knows of the session yet.
        let _ = relay.attach();
        Self {
            id,
            credentials: AtomicU64::new(opener.credentials),
            client: opener.client,
            relay,
            sending: TurnLock::default(),
            state: Mutex::new(SessionState {
                lifecycle: Lifecycle::new(times.interval, times.timeout, carrier, Duration::ZERO),
                receiver: None,
            }),
            origin: Instant::now(),
            owner,
        }
    }

    /// Notes credentials of the client that has opened the session.
    pub(super) fn note_credentials(&self, credentials: u64) {
        self.credentials.store(credentials, Ordering::Relaxed);
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&self, now: Instant) {
        let (owes_ping, end) = {
            let mut state = self.state.lock();
            state
                .lifecycle
                .handle_timeout(now.saturating_duration_since(self.origin));
            (state.lifecycle.poll_ping(), state.lifecycle.end())
        };
        if owes_ping {
            self.relay.push(PacketQueue::push_ping);
        }
        if let Some(End::PingTimeout) = end {
            self.end(End::PingTimeout);
        }
    }

    /// Returns when something is due; `None` once the session has ended.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let due = self.state.lock().lifecycle.poll_timeout()?;
        Some(later(self.origin, due))
    }

    pub(super) fn handle_pong(&self) {
        let now = self.origin.elapsed();
        self.state.lock().lifecycle.handle_pong(now);
        if let (Some(owner), Some(due)) = (self.owner(), self.next_timeout()) {
            owner.check_at(&self.id, due);
        }
    }

    /// Ends the session, and says so to the request that receives.
    pub(super) fn end(&self, end: End) {
        {
            let mut state = self.state.lock();
            state.lifecycle.handle_end(end);
            state.wake_receiver();
        }
        match end {
            End::ByClient => self.relay.close(CloseCode::NORMAL.into(), ""),
            End::Broken => self
                .relay
                .close(CloseCode::PROTOCOL_ERROR.into(), "parse error"),
            End::PingTimeout | End::Lost | End::ByServer => self.relay.break_off(),
        }
    }

    /// Notes that the client knows that the session has closed itself.
    pub(super) fn handle_told(&self) {
        self.state.lock().lifecycle.handle_end(End::ByServer);
    }

    /// Ends the session with the close of its WebSocket.
    pub(super) fn close(&self, code: CloseCode) {
        self.state.lock().lifecycle.handle_end(End::ByClient);
        self.relay.close(code.into(), "");
    }

    pub(super) fn carrier(&self) -> Carrier {
        self.state.lock().lifecycle.carrier()
    }

    /// Returns whether the session goes on. A deadline that has just passed counts, whether or not its timer has run.
    pub(super) fn is_live(&self) -> bool {
        self.handle_timeout(Instant::now());
        self.state.lock().lifecycle.end().is_none()
    }

    /// Notes that a WebSocket asks to take over.
    pub(super) fn handle_probe(&self) -> Result<(), NotPolling> {
        let mut state = self.state.lock();
        state.lifecycle.handle_probe()?;
        state.wake_receiver();
        Ok(())
    }

    pub(super) fn handle_probe_failed(&self) {
        self.state.lock().lifecycle.handle_probe_failed();
    }

    /// Notes that the WebSocket that has asked takes over, and waits until the requests have left.
    pub(super) async fn take_over(self: &Arc<Self>) -> Result<Receiver, NotPolling> {
        {
            let mut state = self.state.lock();
            state.lifecycle.handle_upgrade()?;
            state.wake_receiver();
        }
        poll_fn(|cx| self.relay.poll_detached(cx)).await;
        self.relay.attach().map_err(|_| NotPolling)?;
        Ok(Receiver::attached(Arc::clone(self)))
    }

    /// Begins to send by a request.
    ///
    /// # Errors
    ///
    /// Another request sends. The session has ended.
    pub(super) fn begin_post(&self) -> Result<PostTurn<'_>, NotPolling> {
        let Ok(turn) = self.sending.try_lock() else {
            self.end(End::Broken);
            return Err(NotPolling);
        };
        Ok(PostTurn {
            session: self,
            is_done: false,
            _turn: turn,
        })
    }

    /// Waits until the last request has sent, and holds the place from then on.
    pub(super) async fn hold_sending(&self) -> TurnGuard<'_, ()> {
        self.sending.lock().await
    }

    /// Waits for what answers a receiver.
    pub(super) fn poll_next(&self, kind: ReceiverKind, cx: &mut Context<'_>) -> Poll<Next> {
        {
            let mut state = self.state.lock();
            if let Some(end) = state.lifecycle.end() {
                return Poll::Ready(Next::Ended(end));
            }
            if !(state.receiver.as_ref()).is_some_and(|waker| waker.will_wake(cx.waker())) {
                state.receiver = Some(cx.waker().clone());
            }
            match (kind, state.lifecycle.carrier()) {
                (ReceiverKind::Request, Carrier::Probed) => return Poll::Ready(Next::Probed),
                (ReceiverKind::WebSocket, _) | (_, Carrier::Polling | Carrier::Probed) => {}
                (_, Carrier::WebSocket) => return Poll::Ready(Next::TakenOver),
            }
        }
        self.relay.poll_receive(cx).map(|received| match received {
            Received::Messages(packets) => Next::Packets(packets),
            Received::End(end) => Next::Closed(end),
        })
    }

    fn owner(&self) -> Option<Arc<EngineSessions>> {
        self.owner.as_ref()?.upgrade()
    }
}

impl SessionState {
    fn wake_receiver(&mut self) {
        if let Some(receiver) = self.receiver.take() {
            receiver.wake();
        }
    }
}

impl TableSession for EngineSession {
    /// The session has closed itself. Whether its client has been told.
    type Ending = Arc<AtomicBool>;

    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn opener(&self) -> Opener {
        Opener {
            credentials: self.credentials.load(Ordering::Relaxed),
            client: self.client.clone(),
        }
    }

    fn check(&self, now: Instant) -> Check {
        self.handle_timeout(now);
        self.next_timeout().map_or(Check::Over, Check::Next)
    }

    fn break_off(&self) {
        self.relay.break_off();
    }

    fn ending(&self) -> Option<Arc<AtomicBool>> {
        let state = self.state.lock();
        let is_told =
            state.lifecycle.end().is_some() || state.lifecycle.carrier() == Carrier::WebSocket;
        (!is_told).then(Arc::default)
    }
}

impl RelayHolder for EngineSession {
    type Outbound = PacketQueue;

    fn relay(&self) -> &Relay<PacketQueue> {
        &self.relay
    }

    fn handle_ended(&self) {
        if let Some(owner) = self.owner() {
            owner.handle_ended(self);
        }
    }
}

impl PostTurn<'_> {
    /// Notes that all has been sent, or that the session has been ended for a better reason.
    pub(super) fn finish(mut self) {
        self.is_done = true;
    }
}

impl Drop for PostTurn<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.session.end(End::Lost);
        }
    }
}

impl Receiver {
    /// Begins to receive.
    ///
    /// # Errors
    ///
    /// Another request receives.
    pub(super) fn attach(session: Arc<EngineSession>) -> Result<Self, AlreadyReceiving> {
        session.relay.attach()?;
        Ok(Self::attached(session))
    }

    /// Creates the receiver of a session to which it is attached already.
    pub(super) fn attached(session: Arc<EngineSession>) -> Self {
        Self {
            session,
            has_left: false,
        }
    }

    pub(super) fn session(&self) -> &Arc<EngineSession> {
        &self.session
    }

    /// Leaves: the client has got all that was received.
    pub(super) fn leave(mut self) {
        self.has_left = true;
        self.session.relay.detach();
    }

    /// Waits for the body of the answer to one request, which is never empty, and leaves.
    pub(super) async fn poll_once(self) -> Vec<u8> {
        let mut kind = ReceiverKind::Request;
        let body = loop {
            let next = poll_fn(|cx| self.session.poll_next(kind, cx));
            let next = match kind {
                // Each request that comes while a WebSocket takes over gets an answer, so that the client can stop asking. It
                // waits a little, so that a client that asks again and again is held back.
                ReceiverKind::ProbedRequest => match timeout(NOOP_DELAY, next).await {
                    Ok(next) => next,
                    Err(_) => break NOOP.to_vec(),
                },
                _ => next.await,
            };
            match next {
                Next::Packets(packets) => break encode(&packets),
                Next::Probed => kind = ReceiverKind::ProbedRequest,
                Next::TakenOver | Next::Ended(End::ByClient) => break NOOP.to_vec(),
                Next::Ended(_) => break CLOSE.to_vec(),
                Next::Closed(_) => {
                    self.session.handle_told();
                    break CLOSE.to_vec();
                }
            }
        };
        self.leave();
        body
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if !self.has_left {
            self.session.end(End::Lost);
        }
    }
}

/// The packet that ends a session, as the body of an answer.
pub(super) const CLOSE: &[u8] = b"1";

/// The packet that means nothing, for a request that must be answered.
const NOOP: &[u8] = b"6";

const NOOP_DELAY: Duration = Duration::from_millis(100);
