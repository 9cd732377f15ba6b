//! What the keeper, the senders and the handle share.

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
    client::reconnect::{backlog::Backlog, event::Dropped, outage::Outage, queue::Queue},
    connection::{Session, TrySendError},
    websocket::WebSocket,
};

/// What the keeper, the senders and the handle share, under one lock that nobody holds while waiting.
pub(super) struct ReconnectShared {
    state: Mutex<State>,
    /// Times are since here.
    origin: Instant,
    /// Wakes the keeper: an order came, or a turn was taken.
    supervisor: Notify,
    /// Wakes the handle: a turn, or a message given up.
    handle: Notify,
    /// Wakes senders: another link, or room in the queue.
    pub(super) senders: Notify,
}

pub(super) struct State {
    pub(super) link: Link,
    pub(super) backlog: Backlog,
    /// What the handle has not seen, oldest first.
    turns: VecDeque<LinkEvent>,
    /// Somebody asked for the end.
    closing: Option<(CloseCode, String)>,
    /// Somebody asked for an attempt at once.
    hurries: bool,
}

/// Where a message that is sent goes.
pub(super) enum Link {
    /// Into the queue.
    Away,
    /// Behind the queue, which is being sent.
    Catching(Session),
    /// To the connection.
    Open(Session),
    /// Nowhere, any more.
    Ended,
}

/// One thing that has happened to the connection.
pub(super) enum LinkEvent {
    Opened(Box<WebSocket>),
    Lost(Outage, Option<Duration>),
}

/// What is to be done with a message.
pub(super) enum SendRoute {
    /// It waits in the queue.
    Queued,
    /// It can go to this connection.
    Direct(Session),
    /// It has to wait for the queue, which is being sent.
    Later,
}

impl ReconnectShared {
    pub(super) fn new(queue: Queue) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                link: Link::Away,
                backlog: Backlog::new(queue),
                turns: VecDeque::new(),
                closing: None,
                hurries: false,
            }),
            origin: Instant::now(),
            supervisor: Notify::new(),
            handle: Notify::new(),
            senders: Notify::new(),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    // What senders do.

    /// Where `message` goes; queues it if that is its way.
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
        let catching = matches!(state.link, Link::Catching(_));
        // The queue moves: whoever finds it full waits, and nobody's message is given up for it.
        if catching && state.backlog.is_full_for(message.len()) {
            return Ok((SendRoute::Later, message));
        }
        let pushed = state.backlog.push(&message, now);
        drop(state);
        // A message may have been displaced, or is the first that can expire.
        self.handle.notify_waiters();
        match pushed {
            Ok(()) => Ok((SendRoute::Queued, message)),
            Err(_) => Err(TrySendError::Full(message)),
        }
    }

    /// This connection takes nothing more: what is sent from now on waits.
    pub(super) fn leave(&self, gone: &Session) {
        let mut state = self.state();
        if let Link::Open(session) | Link::Catching(session) = &state.link
            && session.id() == gone.id()
        {
            state.link = Link::Away;
        }
        drop(state);
        self.senders.notify_waiters();
    }

    /// Waits for a connection; `None` when there will be none any more.
    pub(super) async fn connected(&self) -> Option<Session> {
        self.until(&self.senders, |state| match &state.link {
            Link::Catching(session) | Link::Open(session) => Some(Some(session.clone())),
            Link::Ended => Some(None),
            Link::Away => None,
        })
        .await
    }

    // What the handle does.

    /// Waits for the next turn; `None` after the last.
    pub(super) async fn turn(&self) -> Option<LinkEvent> {
        let turn = self
            .until(&self.handle, |state| match state.turns.pop_front() {
                None if matches!(state.link, Link::Ended) => Some(None),
                turn => turn.map(Some),
            })
            .await;
        self.supervisor.notify_waiters();
        turn
    }

    /// Waits until a message of the queue has been given up, or has waited too long.
    pub(super) async fn given_up(&self) {
        loop {
            let noticed = self.handle.notified();
            let (has_dropped, expires_at) = {
                let state = self.state();
                (state.backlog.has_dropped(), state.backlog.poll_timeout())
            };
            if has_dropped {
                return;
            }
            match expires_at {
                Some(at) => tokio::select! {
                    () = time::sleep_until(self.origin + at) => return,
                    () = noticed => {}
                },
                None => noticed.await,
            }
        }
    }

    /// Gives up what waits: there will be no connection any more.
    pub(super) fn give_up_all(&self) {
        self.state().backlog.end();
    }

    /// Nobody looks any more.
    pub(super) fn abandon(&self) {
        self.close(CloseCode::GOING_AWAY, "");
        let unseen = std::mem::take(&mut self.state().turns);
        // Not under the lock: dropping a WebSocket may do much.
        drop(unseen);
    }

    pub(super) fn next_dropped(&self) -> Option<Dropped> {
        let now = self.now();
        let mut state = self.state();
        state.backlog.handle_timeout(now);
        state.backlog.poll_dropped()
    }

    /// Asks for the end. The first to ask decides how.
    pub(super) fn close(&self, code: CloseCode, reason: &str) {
        let mut state = self.state();
        let (code, reason) = state
            .closing
            .get_or_insert_with(|| (code, reason.to_owned()))
            .clone();
        let session = match &state.link {
            Link::Open(session) | Link::Catching(session) => Some(session.clone()),
            Link::Away | Link::Ended => None,
        };
        drop(state);
        if let Some(session) = session {
            session.close(code, &reason);
        }
        self.supervisor.notify_waiters();
        self.senders.notify_waiters();
    }

    /// Asks for an attempt at once.
    pub(super) fn hurry(&self) {
        self.state().hurries = true;
        self.supervisor.notify_waiters();
    }

    // What the keeper does.

    /// There is a connection.
    pub(super) fn open(&self, websocket: WebSocket) {
        let mut state = self.state();
        let session = websocket.session().clone();
        if let Some((code, reason)) = &state.closing {
            session.close(*code, reason);
            drop(state);
            // Dropped, it is seen off.
            return;
        }
        state.hurries = false;
        state.link = Link::Catching(session);
        state
            .turns
            .push_back(LinkEvent::Opened(Box::new(websocket)));
        drop(state);
        self.senders.notify_waiters();
        self.handle.notify_waiters();
    }

    /// The next message for a new connection. `None`: the queue is empty, and from now on messages go to
    /// the connection directly.
    pub(super) fn catch_up(&self) -> Option<Message<'static>> {
        let now = self.now();
        let mut state = self.state();
        let next = state.backlog.pop(now);
        if next.is_none()
            && let Link::Catching(session) = &state.link
        {
            state.link = Link::Open(session.clone());
        }
        drop(state);
        // There is room now, and what had expired is to be reported.
        self.senders.notify_waiters();
        self.handle.notify_waiters();
        next
    }

    pub(super) fn put_back(&self, message: Message<'static>) {
        self.state().backlog.put_back(message);
    }

    /// There is no connection, and there will be another attempt in `retry_in`, if any.
    pub(super) fn lose(&self, outage: Outage, retry_in: Option<Duration>) {
        let mut state = self.state();
        state.link = Link::Away;
        // Of attempts that failed while nobody looked, the last one tells enough.
        if outage.closed().is_none()
            && let Some(LinkEvent::Lost(last, _)) = state.turns.back()
            && last.closed().is_none()
        {
            state.turns.pop_back();
        }
        state.turns.push_back(LinkEvent::Lost(outage, retry_in));
        drop(state);
        self.senders.notify_waiters();
        self.handle.notify_waiters();
    }

    /// There will be no connection any more.
    pub(super) fn end(&self) {
        self.state().link = Link::Ended;
        self.senders.notify_waiters();
        self.handle.notify_waiters();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.state().closing.is_some()
    }

    /// Waits for `work`; `None` if somebody asks for the end meanwhile.
    pub(super) async fn unless_closing<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.until(&self.supervisor, |state| state.closing.is_some().then_some(())) => None,
            done = work => Some(done),
        }
    }

    /// Waits until somebody asks for an attempt at once.
    pub(super) async fn hurried(&self) {
        self.until(&self.supervisor, |state| {
            std::mem::take(&mut state.hurries).then_some(())
        })
        .await;
    }

    /// Waits until the handle has seen most of what has happened.
    pub(super) async fn seen(&self) {
        self.until(&self.supervisor, |state| {
            (state.turns.len() < TURNS_MAX).then_some(())
        })
        .await;
    }

    /// Waits until `look` finds something, after each notice.
    async fn until<T>(&self, notice: &Notify, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            // Before the look, or a notice between the two would be missed.
            let noticed = notice.notified();
            if let Some(found) = look(&mut self.state()) {
                return found;
            }
            noticed.await;
        }
    }
}

/// Of connections that came and went while nobody looked. Each may hold an inbox full of messages, so
/// there is no other attempt before somebody looks.
const TURNS_MAX: usize = 8;
