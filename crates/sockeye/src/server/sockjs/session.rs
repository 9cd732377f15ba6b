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

use super::relay::{Relay, RelayHolder};
use crate::handshake::ClientId;

/// One session, whose endpoint runs in a task of its own. Requests find it by its id; a WebSocket has its own.
pub(super) struct SockJsSession {
    /// The session's id, as the client has written it. It is a secret, and no program gets it.
    id: Arc<str>,
    /// A keyed hash of the credentials that the last request had of which it is known who has sent it. Requests with the same ones
    /// aren't asked again.
    credentials: AtomicU64,
    /// Who has opened the session. Nobody else may use it: its id has too few bits to be a credential.
    client: Option<ClientId>,
    relay: Relay,
    /// Held by the request that sends, so that messages keep their order. The value is the state of the rate limit.
    sending: TurnLock<Duration>,
    /// The requests that send or wait to.
    senders: AtomicUsize,
    /// When the last receiver has left; `None` while there is one.
    unattended_since: Mutex<Option<Instant>>,
    /// `None` for the session of a WebSocket, which nobody looks up.
    owner: Option<Weak<dyn SessionOwner>>,
}

/// The table in which requests look up sessions.
pub(super) trait SessionOwner: Send + Sync + 'static {
    /// Notes that nobody receives from the session by `id`, and that a request should soon.
    fn watch(self: Arc<Self>, id: &Arc<str>);

    /// Notes that the session's connection has ended.
    fn handle_ended(self: Arc<Self>, session: &SockJsSession);
}

/// Who opens a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opener {
    pub(super) credentials: u64,
    pub(super) client: Option<ClientId>,
}

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
        owner: Option<Weak<dyn SessionOwner>>,
    ) -> Self {
        Self {
            id,
            credentials: AtomicU64::new(opener.credentials),
            client: opener.client,
            relay: Relay::new(batch_bytes_max),
            sending: TurnLock::default(),
            senders: AtomicUsize::new(0),
            unattended_since: Mutex::new(None),
            owner,
        }
    }

    pub(super) fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(super) fn opener(&self) -> Opener {
        Opener {
            credentials: self.credentials.load(Ordering::Relaxed),
            client: self.client.clone(),
        }
    }

    pub(super) fn client(&self) -> &Option<ClientId> {
        &self.client
    }

    /// Notes credentials of the client that has opened the session.
    pub(super) fn note_credentials(&self, credentials: u64) {
        self.credentials.store(credentials, Ordering::Relaxed);
    }

    pub(super) fn relay(&self) -> &Relay {
        &self.relay
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
        *self.unattended_since.lock() = Some(Instant::now());
        if let Some(owner) = self.owner() {
            owner.watch(&self.id);
        }
    }

    fn owner(&self) -> Option<Arc<dyn SessionOwner>> {
        self.owner.as_ref()?.upgrade()
    }

    /// Returns since when nobody receives; `None` while somebody does.
    pub(super) fn unattended_since(&self) -> Option<Instant> {
        *self.unattended_since.lock()
    }
}

impl RelayHolder for SockJsSession {
    fn relay(&self) -> &Relay {
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
