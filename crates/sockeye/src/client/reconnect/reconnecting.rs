//! The handle of a reconnecting client.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use sockeye_proto::{CloseCode, Message};

use crate::{
    client::{
        connect::Connect,
        reconnect::{
            event::Event,
            policy::Policy,
            sender::Sender,
            shared::{LinkEvent, ReconnectShared},
            supervisor::{Dial, Supervisor},
        },
    },
    closed::Closed,
    connection::TrySendError,
    error::Error,
    websocket::{Control, WebSocket},
};

/// A reconnecting client. [`Reconnecting::next`] returns its events. `send` sends at any time; other tasks send by a
/// clone of [`Reconnecting::sender`].
///
/// A task of its own dials and waits. The program has to call `next` all the same: reading pauses while received
/// messages wait, and the client doesn't dial again while 8 events wait.
///
/// # Slow reader
///
/// [`Reconnecting::send`] waits while the outbox of the open connection is full. Without a connection the [`Queue`] of
/// the policy decides.
///
/// [`Queue`]: crate::reconnect::Queue
///
/// # Closing
///
/// [`Reconnecting::close`] closes and waits for the peer. Dropping the handle closes with 1001 in the background and
/// drops the messages in the queue.
///
/// # Example
///
/// ```no_run
/// use sockeye::reconnect::{Event, Policy};
///
/// # async fn example() -> Result<(), sockeye::Error> {
/// let mut feed = sockeye::connect("wss://example.com/feed").reconnect(Policy::new());
/// while let Some(event) = feed.next().await {
///     match event {
///         Event::Connected(_) => feed.send("what did I miss?").await?,
///         Event::Message(message) => println!("{:?}", message.as_text()),
///         Event::Disconnected { closed, retry_in: Some(delay) } => eprintln!("{closed}, again in {delay:?}"),
///         Event::Disconnected { closed, retry_in: None } => eprintln!("{closed}, for good"),
///         Event::Dropped(dropped) => eprintln!("not sent: {:?}", dropped.message),
///         _ => {}
///     }
/// }
/// # Ok(()) }
/// ```
pub struct Reconnecting {
    sender: Sender,
    shared: Arc<ReconnectShared>,
    /// The connection whose messages `next` returns.
    current: Option<Box<WebSocket>>,
    /// The error with which `recv` ended on the last connection.
    error: Option<Error>,
    observer: Option<SharedObserver>,
}

/// A closure of the program that is called with the control frames of each connection.
type SharedObserver = Arc<Mutex<dyn FnMut(Control<'_>) + Send>>;

impl Connect {
    /// Dials in the background, and dials again as `policy` says whenever there is no connection.
    ///
    /// The errors of awaiting `self` become [`Event::Disconnected`], also that of the first attempt.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    pub fn reconnect(self, policy: Policy) -> Reconnecting {
        Reconnecting::start(Dial::from_policy(self, &policy), policy)
    }
}

impl Reconnecting {
    pub(super) fn start(dial: Dial, policy: Policy) -> Self {
        let shared = ReconnectShared::new(policy.queue);
        let supervisor = Supervisor {
            dial,
            policy,
            shared: Arc::clone(&shared),
        };
        tokio::spawn(supervisor.run());
        Self {
            sender: Sender::new(Arc::clone(&shared)),
            shared,
            current: None,
            error: None,
            observer: None,
        }
    }

    /// Waits for the next event; returns `None` after the last.
    ///
    /// Messages come in order between the `Connected` and the `Disconnected` of their connection.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped before it is ready loses no event: the next call returns it.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(dropped) = self.shared.next_dropped() {
                return Some(Event::Dropped(dropped));
            }
            let awaited = match &mut self.current {
                Some(websocket) => tokio::select! {
                    biased;
                    received = websocket.recv() => Awaited::Received(received),
                    () = self.shared.has_dropped() => Awaited::Dropped,
                },
                None => tokio::select! {
                    biased;
                    event = self.shared.link_event() => Awaited::Link(event),
                    () = self.shared.has_dropped() => Awaited::Dropped,
                },
            };
            match awaited {
                Awaited::Received(Ok(Some(message))) => return Some(Event::Message(message)),
                Awaited::Received(Ok(None)) => self.current = None,
                Awaited::Received(Err(error)) => {
                    self.error = Some(error);
                    self.current = None;
                }
                Awaited::Link(Some(LinkEvent::Opened(mut websocket))) => {
                    self.observe(&mut websocket);
                    let session = websocket.session().clone();
                    self.current = Some(websocket);
                    self.error = None;
                    return Some(Event::Connected(session));
                }
                Awaited::Link(Some(LinkEvent::Lost(outage, retry_in))) => {
                    let closed = outage.with_error(self.error.take());
                    return Some(Event::Disconnected { closed, retry_in });
                }
                Awaited::Link(None) => {
                    self.shared.drop_all();
                    return self.shared.next_dropped().map(Event::Dropped);
                }
                Awaited::Dropped => {}
            }
        }
    }

    /// Sends a message, or queues it for the next connection: see [`Sender::send`].
    ///
    /// # Errors
    ///
    /// The errors of [`Sender::send`].
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped before it is ready has sent nothing of the message.
    pub async fn send<'m>(
        &self,
        message: impl Into<Message<'m>>,
    ) -> Result<(), TrySendError<Message<'m>>> {
        self.sender.send(message).await
    }

    /// Sends or queues a message without waiting: see [`Sender::try_send`].
    ///
    /// # Errors
    ///
    /// The errors of [`Sender::try_send`].
    pub fn try_send<'m>(
        &self,
        message: impl Into<Message<'m>>,
    ) -> Result<(), TrySendError<Message<'m>>> {
        self.sender.try_send(message)
    }

    /// Returns the handle for other tasks. It sends and closes. Cheap to clone.
    #[must_use]
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Calls `observer` with each ping, pong and Close frame, on all connections whose [`Event::Connected`] comes after
    /// this call. A later call replaces the observer.
    pub fn on_control(&mut self, observer: impl FnMut(Control<'_>) + Send + 'static) {
        self.observer = Some(Arc::new(Mutex::new(observer)));
    }

    /// Closes the connection, waits for the peer's answer, at most [`crate::Limits::close_timeout`] (default 5 s), and
    /// makes no other connection. Returns how the connection ended; `None` if there was none.
    ///
    /// Discards the messages that come meanwhile. `next` still returns the messages that waited in the queue.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped after its first poll closes the connection all the same.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Option<Closed> {
        self.shared.close(code, reason);
        let mut closed = None;
        loop {
            if let Some(websocket) = &mut self.current {
                closed = Some(websocket.close(code, reason).await);
                self.current = None;
            }
            match self.shared.link_event().await {
                Some(LinkEvent::Opened(websocket)) => self.current = Some(websocket),
                Some(LinkEvent::Lost(..)) => {}
                None => return closed,
            }
        }
    }

    fn observe(&self, websocket: &mut WebSocket) {
        if let Some(observer) = self.observer.clone() {
            websocket.on_control(move |frame| {
                let mut observer = observer.lock().unwrap_or_else(PoisonError::into_inner);
                observer(frame);
            });
        }
    }
}

/// What `next` has waited for.
enum Awaited {
    Received(Result<Option<Message<'static>>, Error>),
    Link(Option<LinkEvent>),
    /// A message in the queue was dropped.
    Dropped,
}

impl Drop for Reconnecting {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

impl fmt::Debug for Reconnecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnecting")
            .field("connected", &self.current.is_some())
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}
