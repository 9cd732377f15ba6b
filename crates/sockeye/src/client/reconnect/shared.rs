//! The state that the supervisor, the senders and the handle share.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sockeye_proto::{CloseCode, Message};
use tokio::{
    sync::Notify,
    time::{self, Instant},
};

use crate::{
    client::reconnect::{
        event::Dropped, offline_queue::OfflineQueue, outage::Outage, queue::Queue,
    },
    connection::{Session, TrySendError},
    websocket::WebSocket,
};

/// The state that the supervisor, the senders and the handle share, under one lock that no task holds across an
/// `await`.
pub(super) struct ReconnectShared {
    state: Mutex<ReconnectState>,
    /// The origin of all times in the state.
    origin: Instant,
    /// Wakes the supervisor: a close or a retry was asked for, or the handle has taken an event.
    supervisor: Notify,
    /// Wakes the handle: an event has come, or a message was dropped or may expire.
    handle: Notify,
    /// Wakes senders: the link has changed, or the queue has room.
    pub(super) senders: Notify,
}

pub(super) struct ReconnectState {
    pub(super) link: Link,
    pub(super) queue: OfflineQueue,
    /// What the handle has not taken, oldest first. At most [`EVENTS_MAX`], and one `Lost` beyond.
    events: VecDeque<LinkEvent>,
    /// The code and the reason, once the program has asked to close.
    closing: Option<(CloseCode, String)>,
    /// Whether the program has asked for an attempt at once.
    retries_now: bool,
}

/// The connection, as far as it decides where a message goes.
///
/// ```text
///              open               catch_up: the queue is empty
///   Down ───────────────> Draining ────────────────────────> Open
///    ^ ^                     │                                │
///    │ └──── lose, leave ────┘                                │
///    └─────────────────────── lose, leave ────────────────────┘
///
///   end: from every state to Ended
/// ```
pub(super) enum Link {
    /// There is no connection. A message goes into the queue.
    Down,
    /// The connection sends the queue. A message goes to the end of the queue.
    Draining(Session),
    /// A message goes to the connection.
    Open(Session),
    /// There will be no connection any more. A message is refused.
    Ended,
}

/// What has happened to the connection.
pub(super) enum LinkEvent {
    Opened(Box<WebSocket>),
    /// Why there is no connection, and the time until the next attempt.
    Lost(Outage, Option<Duration>),
}

/// Where a message goes.
pub(super) enum SendRoute {
    /// It waits in the queue.
    Queued,
    /// The caller sends it on this connection.
    Direct(Session),
    /// The queue is full and is being sent. The caller tries again when it has room.
    Later,
}

impl ReconnectShared {
    pub(super) fn new(queue: Queue) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(ReconnectState {
                link: Link::Down,
                queue: OfflineQueue::new(queue),
                events: VecDeque::new(),
                closing: None,
                retries_now: false,
            }),
            origin: Instant::now(),
            supervisor: Notify::new(),
            handle: Notify::new(),
            senders: Notify::new(),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, ReconnectState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    // Called by senders.

    /// Decides where `message` goes, and queues it if it goes into the queue. Returns it unless it was refused.
    pub(super) fn admit<'m>(
        &self,
        message: Message<'m>,
    ) -> Result<(SendRoute, Message<'m>), TrySendError<Message<'m>>> {
        let now = self.now();
        let mut state = self.state();
        if let Link::Open(session) = &state.link {
            return Ok((SendRoute::Direct(session.clone()), message));
        }
        if matches!(state.link, Link::Ended) || state.closing.is_some() {
            return Err(TrySendError::Closed(message));
        }
        let is_draining = matches!(state.link, Link::Draining(_));
        // A queue that is being sent soon has room: the sender waits, and no message is refused or dropped.
        if is_draining && state.queue.is_full_for(message.len()) {
            return Ok((SendRoute::Later, message));
        }
        let pushed = state.queue.push(&message, now);
        drop(state);
        // A message may have been displaced, or this one is the first that can expire.
        self.handle.notify_waiters();
        match pushed {
            Ok(()) => Ok((SendRoute::Queued, message)),
            Err(_) => Err(TrySendError::Full(message)),
        }
    }

    /// Handles a connection that takes no more messages: what is sent from now on waits in the queue.
    pub(super) fn leave(&self, gone: &Session) {
        let mut state = self.state();
        if let Link::Open(session) | Link::Draining(session) = &state.link
            && session.id() == gone.id()
        {
            state.link = Link::Down;
        }
        drop(state);
        self.senders.notify_waiters();
    }

    /// Waits for a connection; returns `None` if there will be none any more.
    pub(super) async fn connected(&self) -> Option<Session> {
        self.until(&self.senders, |state| match &state.link {
            Link::Draining(session) | Link::Open(session) => Some(Some(session.clone())),
            Link::Ended => Some(None),
            Link::Down => None,
        })
        .await
    }

    // Called by the handle.

    /// Waits for the next event of the connection; returns `None` after the last.
    pub(super) async fn link_event(&self) -> Option<LinkEvent> {
        let event = self
            .until(&self.handle, |state| match state.events.pop_front() {
                None if matches!(state.link, Link::Ended) => Some(None),
                event => event.map(Some),
            })
            .await;
        self.supervisor.notify_waiters();
        event
    }

    /// Waits until a message in the queue was dropped or has expired.
    pub(super) async fn has_dropped(&self) {
        loop {
            let notified = self.handle.notified();
            let (has_dropped, expires_at) = {
                let state = self.state();
                (state.queue.has_dropped(), state.queue.poll_timeout())
            };
            if has_dropped {
                return;
            }
            match expires_at {
                Some(at) => tokio::select! {
                    () = time::sleep_until(self.origin + at) => return,
                    () = notified => {}
                },
                None => notified.await,
            }
        }
    }

    /// Drops all messages in the queue: there will be no connection any more.
    pub(super) fn drop_all(&self) {
        self.state().queue.end();
    }

    /// Closes: the program has dropped the handle.
    pub(super) fn abandon(&self) {
        self.close(CloseCode::GOING_AWAY, "");
        let events = std::mem::take(&mut self.state().events);
        // Outside the lock: dropping a WebSocket takes long.
        drop(events);
    }

    pub(super) fn next_dropped(&self) -> Option<Dropped> {
        let now = self.now();
        let mut state = self.state();
        state.queue.handle_timeout(now);
        state.queue.poll_dropped()
    }

    /// Asks the supervisor to close. The first call sets the code and the reason.
    pub(super) fn close(&self, code: CloseCode, reason: &str) {
        let mut state = self.state();
        let (code, reason) = state
            .closing
            .get_or_insert_with(|| (code, reason.to_owned()))
            .clone();
        let session = match &state.link {
            Link::Open(session) | Link::Draining(session) => Some(session.clone()),
            Link::Down | Link::Ended => None,
        };
        drop(state);
        if let Some(session) = session {
            session.close(code, &reason);
        }
        self.supervisor.notify_waiters();
        self.senders.notify_waiters();
    }

    /// Asks the supervisor for an attempt at once.
    pub(super) fn retry_now(&self) {
        self.state().retries_now = true;
        self.supervisor.notify_waiters();
    }

    // Called by the supervisor.

    /// Sets the connection, and reports it to the handle.
    pub(super) fn open(&self, websocket: WebSocket) {
        let mut state = self.state();
        let session = websocket.session().clone();
        if let Some((code, reason)) = &state.closing {
            session.close(*code, reason);
            drop(state);
            // Dropping the WebSocket finishes its close in the background.
            return;
        }
        state.retries_now = false;
        state.link = Link::Draining(session);
        state
            .events
            .push_back(LinkEvent::Opened(Box::new(websocket)));
        drop(state);
        self.senders.notify_waiters();
        self.handle.notify_waiters();
    }

    /// Takes the next queued message for a new connection. Returns `None` if the queue is empty. From then on messages go
    /// to the connection directly.
    pub(super) fn catch_up(&self) -> Option<Message<'static>> {
        let now = self.now();
        let mut state = self.state();
        let next = state.queue.pop(now);
        if next.is_none()
            && let Link::Draining(session) = &state.link
        {
            state.link = Link::Open(session.clone());
        }
        drop(state);
        // The queue has room, and messages may have expired.
        self.senders.notify_waiters();
        self.handle.notify_waiters();
        next
    }

    pub(super) fn put_back(&self, message: Message<'static>) {
        self.state().queue.put_back(message);
    }

    /// Reports an outage to the handle. The next attempt is in `retry_in`, if there is one.
    pub(super) fn lose(&self, outage: Outage, retry_in: Option<Duration>) {
        let mut state = self.state();
        state.link = Link::Down;
        // Of several failed attempts that the handle hasn't seen, the last one is enough.
        if outage.closed().is_none()
            && let Some(LinkEvent::Lost(last, _)) = state.events.back()
            && last.closed().is_none()
        {
            state.events.pop_back();
        }
        state.events.push_back(LinkEvent::Lost(outage, retry_in));
        drop(state);
        self.senders.notify_waiters();
        self.handle.notify_waiters();
    }

    /// Ends everything: there will be no connection any more.
    pub(super) fn end(&self) {
        self.state().link = Link::Ended;
        self.senders.notify_waiters();
        self.handle.notify_waiters();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.state().closing.is_some()
    }

    /// Waits for `work`; returns `None` if the program asks to close before.
    pub(super) async fn unless_closing<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.until(&self.supervisor, |state| state.closing.is_some().then_some(())) => None,
            done = work => Some(done),
        }
    }

    /// Waits until the program asks for an attempt at once.
    pub(super) async fn asked_to_retry(&self) {
        self.until(&self.supervisor, |state| {
            std::mem::take(&mut state.retries_now).then_some(())
        })
        .await;
    }

    /// Waits until fewer than [`EVENTS_MAX`] events wait for the handle.
    pub(super) async fn has_room_for_events(&self) {
        self.until(&self.supervisor, |state| {
            (state.events.len() < EVENTS_MAX).then_some(())
        })
        .await;
    }

    /// Waits until `look` finds something. Looks once now, and after each notification.
    async fn until<T>(
        &self,
        notify: &Notify,
        mut look: impl FnMut(&mut ReconnectState) -> Option<T>,
    ) -> T {
        loop {
            // Made before the look: a notification between the two would otherwise be missed.
            let notified = notify.notified();
            if let Some(found) = look(&mut self.state()) {
                return found;
            }
            notified.await;
        }
    }
}

/// Events that wait for the handle before the supervisor stops dialling. Each connection among them may hold a full
/// inbox.
const EVENTS_MAX: usize = 8;
