//! One session over HTTP: what its requests share.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Mutex as TurnLock, time::Instant};

use super::{form::end_frame, outbound::JsonMessages};
use crate::{
    handshake::ClientId,
    server::polling::{Check, Opener, Relay, RelayEnd, RelayHolder, SessionTable, TableSession},
    time::later,
};

/// One session, whose endpoint runs in a task of its own. Requests find it by its id; a WebSocket has its own.
pub(super) struct SockJsSession {
    /// The session's id, as the client has written it. It is a secret, and no program gets it.
    id: Arc<str>,
    /// A keyed hash of the credentials that the last request had of which it is known who has sent it. Requests with the same ones
    /// aren't asked again.
    credentials: AtomicU64,
    /// Who has opened the session. Nobody else may use it: its id has too few bits to be a credential.
    client: Option<ClientId>,
    relay: Relay<JsonMessages>,
    /// Held by the request that sends, so that messages keep their order. The value is the state of the rate limit.
    sending: TurnLock<Duration>,
    /// The requests that send or wait to.
    senders: AtomicUsize,
    /// When the last receiver has left; `None` while there is one.
    unattended_since: Mutex<Option<Instant>>,
    /// How long that may be.
    disconnect_delay: Duration,
    /// `None` for the session of a WebSocket, which nobody looks up.
    owner: Option<Weak<SockJsSessions>>,
}

/// The sessions over HTTP of one path.
pub(super) type SockJsSessions = SessionTable<SockJsSession>;

/// A turn to send. The next request waits until it is dropped.
pub(super) struct SendTurn<'s> {
    pub(super) full_at: tokio::sync::MutexGuard<'s, Duration>,
    _count: SenderCount<'s>,
}

struct SenderCount<'s>(&'s AtomicUsize);

/// The error of a request that would be one too many to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManySenders;

impl SockJsSession {
    pub(super) fn new(
        id: Arc<str>,
        opener: Opener,
        batch_bytes_max: usize,
        disconnect_delay: Duration,
        owner: Option<Weak<SockJsSessions>>,
    ) -> Self {
        Self {
            id,
            credentials: AtomicU64::new(opener.credentials),
            client: opener.client,
            relay: Relay::new(batch_bytes_max),
            sending: TurnLock::default(),
            senders: AtomicUsize::new(0),
            unattended_since: Mutex::new(None),
            disconnect_delay,
            owner,
        }
    }

    /// Notes credentials of the client that has opened the session.
    pub(super) fn note_credentials(&self, credentials: u64) {
        self.credentials.store(credentials, Ordering::Relaxed);
    }

    /// Waits until the requests before have sent.
    ///
    /// # Errors
    ///
    /// `waiting_max` requests wait already.
    ///
    /// # Cancel safety
    ///
    /// A cancelled wait leaves its place to the next.
    pub(super) async fn send_turn(
        &self,
        waiting_max: usize,
    ) -> Result<SendTurn<'_>, TooManySenders> {
        let before = self.senders.fetch_add(1, Ordering::AcqRel);
        let count = SenderCount(&self.senders);
        if before > waiting_max {
            return Err(TooManySenders);
        }
        Ok(SendTurn {
            full_at: self.sending.lock().await,
            _count: count,
        })
    }

    /// Notes that a receiver has come.
    pub(super) fn handle_attached(&self) {
        *self.unattended_since.lock() = None;
    }

    /// Notes that the receiver has left, and that another one may follow.
    pub(super) fn handle_detached(&self) {
        let now = Instant::now();
        *self.unattended_since.lock() = Some(now);
        if let Some(owner) = self.owner() {
            owner.check_at(&self.id, later(now, self.disconnect_delay));
        }
    }

    fn owner(&self) -> Option<Arc<SockJsSessions>> {
        self.owner.as_ref()?.upgrade()
    }
}

impl TableSession for SockJsSession {
    /// The frame that every receiver gets.
    type Ending = Arc<str>;

    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn opener(&self) -> Opener {
        Opener {
            credentials: self.credentials.load(Ordering::Relaxed),
            client: self.client.clone(),
        }
    }

    /// Finds out whether nobody has received for too long.
    fn check(&self, now: Instant) -> Check {
        let Some(since) = *self.unattended_since.lock() else {
            return Check::Idle;
        };
        let due = later(since, self.disconnect_delay);
        match due > now {
            true => Check::Next(due),
            false => Check::Over,
        }
    }

    fn break_off(&self) {
        self.relay.break_off();
    }

    fn ending(&self) -> Option<Arc<str>> {
        let end = self.relay.ending().unwrap_or(RelayEnd::Interrupted);
        Some(end_frame(&end).into())
    }
}

impl RelayHolder for SockJsSession {
    type Outbound = JsonMessages;

    fn relay(&self) -> &Relay<JsonMessages> {
        &self.relay
    }

    fn handle_ended(&self) {
        if let Some(owner) = self.owner() {
            owner.handle_ended(self);
        }
    }
}

impl Drop for SenderCount<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
