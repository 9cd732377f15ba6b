//! The handle of a connection that comes back.

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

/// A connection that comes back: what happens to it by [`Reconnecting::next`], `send` at any time, also
/// from other tasks by a clone of [`Reconnecting::sender`].
///
/// Dialling, waiting, dialling again happens in a task of its own, whatever the program is doing;
/// but somebody has to call `next`, or what the server sends has no place to go, and connections that came
/// and went unseen aren't replaced for ever.
///
/// # Closing
///
/// [`Reconnecting::close`] closes and waits for the peer. Dropping closes with 1001 in the background, and
/// what waits in the queue goes with it.
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
    /// The connection whose messages are being taken.
    current: Option<Box<WebSocket>>,
    /// What `recv` has told about the end of the last one.
    error: Option<Error>,
    observer: Option<Observer>,
}

/// Shown the control frames of each connection.
type Observer = Arc<Mutex<dyn FnMut(Control<'_>) + Send>>;

impl Connect {
    /// Keeps a connection: dials, and dials again as `policy` says whenever there is none.
    ///
    /// What would be an error of awaiting `self` is an [`Event::Disconnected`], the first time too.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn reconnect(self, policy: Policy) -> Reconnecting {
        Reconnecting::start(Dial::again(self, &policy), policy)
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
        tokio::spawn(supervisor.keep());
        Self {
            sender: Sender::new(Arc::clone(&shared)),
            shared,
            current: None,
            error: None,
            observer: None,
        }
    }

    /// What happens next; `None` when there will be nothing any more.
    ///
    /// Messages come in order between the `Connected` and the `Disconnected` of their connection.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing is lost: the next call gives it.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(dropped) = self.shared.next_dropped() {
                return Some(Event::Dropped(dropped));
            }
            let step = match &mut self.current {
                Some(websocket) => tokio::select! {
                    biased;
                    received = websocket.recv() => Step::Received(received),
                    () = self.shared.given_up() => Step::GivenUp,
                },
                None => tokio::select! {
                    biased;
                    turn = self.shared.turn() => Step::Turned(turn),
                    () = self.shared.given_up() => Step::GivenUp,
                },
            };
            match step {
                Step::Received(Ok(Some(message))) => return Some(Event::Message(message)),
                Step::Received(Ok(None)) => self.current = None,
                Step::Received(Err(error)) => {
                    self.error = Some(error);
                    self.current = None;
                }
                Step::Turned(Some(LinkEvent::Opened(mut websocket))) => {
                    self.observe(&mut websocket);
                    let session = websocket.session().clone();
                    self.current = Some(websocket);
                    self.error = None;
                    return Some(Event::Connected(session));
                }
                Step::Turned(Some(LinkEvent::Lost(outage, retry_in))) => {
                    let closed = outage.with_error(self.error.take());
                    return Some(Event::Disconnected { closed, retry_in });
                }
                Step::Turned(None) => {
                    self.shared.give_up_all();
                    return self.shared.next_dropped().map(Event::Dropped);
                }
                Step::GivenUp => {}
            }
        }
    }

    /// Sends a message, or lets it wait for a connection: see [`Sender::send`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing of the message was sent.
    pub async fn send<'m>(
        &self,
        message: impl Into<Message<'m>>,
    ) -> Result<(), TrySendError<Message<'m>>> {
        self.sender.send(message).await
    }

    /// Sends a message now, or lets it wait for a connection, or gives it back: see [`Sender::try_send`].
    ///
    /// # Errors
    ///
    /// As [`Sender::try_send`].
    pub fn try_send<'m>(
        &self,
        message: impl Into<Message<'m>>,
    ) -> Result<(), TrySendError<Message<'m>>> {
        self.sender.try_send(message)
    }

    /// The handle for other tasks.
    #[must_use]
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Shows each ping, pong and Close frame to `observer`, on connections whose [`Event::Connected`] is yet
    /// to come.
    pub fn on_control(&mut self, observer: impl FnMut(Control<'_>) + Send + 'static) {
        self.observer = Some(Arc::new(Mutex::new(observer)));
    }

    /// Closes, waits for the peer to answer, at most [`crate::Limits::close_timeout`], and dials no more.
    /// Messages that come meanwhile are discarded. Messages that waited in the queue are still to
    /// be had from `next`.
    ///
    /// Returns how the connection ended; `None` if there was none.
    ///
    /// # Cancel safety
    ///
    /// Cancelled after its first poll, the close goes on.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Option<Closed> {
        self.shared.close(code, reason);
        let mut closed = None;
        loop {
            if let Some(websocket) = &mut self.current {
                closed = Some(websocket.close(code, reason).await);
                self.current = None;
            }
            match self.shared.turn().await {
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

/// What came of waiting.
enum Step {
    Received(Result<Option<Message<'static>>, Error>),
    Turned(Option<LinkEvent>),
    GivenUp,
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
