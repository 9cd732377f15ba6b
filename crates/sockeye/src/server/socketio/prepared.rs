//! Events and acks that are encoded before it is known to which sockets they go.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use serde::Serialize;
use sockeye_proto::CloseCode;

use super::{
    args::{ArgsError, too_many_attachments},
    outgoing::{Encoded, JsonKind},
    packet::ATTACHMENTS_MAX,
    socket_core::{EmitError, SocketCore},
};

/// Arguments that the program has written as JSON itself: the values of a list without its brackets, such as `"a",1`. An attachment
/// stands there as `{"_placeholder":true,"num":0}`.
///
/// Nothing checks the JSON. With text that is none, clients close their connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonArgs {
    /// The values, separated by commas.
    pub json: String,
    /// The attachments, by their numbers. At most 10.
    pub attachments: Vec<Bytes>,
}

/// An event that is encoded once, for many sockets of one namespace: [`EventSender::emit_prepared`].
///
/// ```
/// use sockeye::socketio::{JsonArgs, PreparedEvent};
///
/// let json = JsonArgs { json: r#""ann","hello""#.to_owned(), attachments: Vec::new() };
/// let event = PreparedEvent::from_json("/", "said", json)?;
/// # let _ = event;
/// # Ok::<(), sockeye::socketio::EmitError>(())
/// ```
#[derive(Clone)]
pub struct PreparedEvent(pub(super) Encoded);

/// Sends events to one socket, whose state it doesn't know: for parts of a program that the state itself belongs to. Cheap to clone.
#[derive(Clone)]
pub struct EventSender(Arc<SocketCore>);

/// The answer to one event of a client, which a handler of [`super::Namespace::on_deferred`] sends when it has it. Where the client
/// asks for none, sending does nothing.
#[derive(Clone)]
pub struct Ack {
    socket: Arc<SocketCore>,
    id: Option<u64>,
}

impl PreparedEvent {
    /// Encodes an event. `args` are a tuple or a list; any other value is one argument.
    ///
    /// # Errors
    ///
    /// [`EmitError::Args`].
    pub fn new(namespace: &str, event: &str, args: impl Serialize) -> Result<Self, EmitError> {
        Ok(Self(Encoded::event(namespace, event, None, &args)?))
    }

    /// Encodes an event of arguments that are JSON already.
    ///
    /// # Errors
    ///
    /// [`EmitError::Args`], if there are more than 10 attachments.
    pub fn from_json(namespace: &str, event: &str, args: JsonArgs) -> Result<Self, EmitError> {
        let JsonArgs { json, attachments } = args.checked()?;
        let kind = JsonKind::Event(event);
        Ok(Self(Encoded::from_json(
            namespace,
            kind,
            &json,
            attachments,
        )))
    }
}

impl EventSender {
    pub(super) fn new(socket: &Arc<SocketCore>) -> Self {
        Self(Arc::clone(socket))
    }

    /// Sends an event that was encoded before. It reaches the client only if it was encoded for this socket's namespace.
    ///
    /// # Errors
    ///
    /// As for [`super::Socket::emit`].
    pub fn emit_prepared(&self, event: &PreparedEvent) -> Result<(), EmitError> {
        self.0.send(&event.0)
    }

    /// Returns the bytes that wait for the client, those of the connection's other namespaces too.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.0.sender.buffered_bytes()
    }

    /// Ends the namespace for the client, which doesn't come back by itself.
    pub fn disconnect(&self) {
        self.0.disconnect();
    }

    /// Closes the connection below all namespaces. The client connects anew.
    pub fn close(&self) {
        self.0.sender.close(CloseCode::SERVICE_RESTART);
    }
}

impl Ack {
    pub(super) fn new(socket: &Arc<SocketCore>, id: Option<u64>) -> Self {
        Self {
            socket: Arc::clone(socket),
            id,
        }
    }

    /// Returns whether the client waits for the answer.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.id.is_some()
    }

    /// Sends the answer. `args` are a tuple or a list; any other value is one argument. A client ignores all but the first answer.
    ///
    /// # Errors
    ///
    /// As for [`super::Socket::emit`].
    pub fn send(&self, args: impl Serialize) -> Result<(), EmitError> {
        let Some(id) = self.id else { return Ok(()) };
        self.socket
            .send(&Encoded::ack(&self.socket.namespace, id, &args)?)
    }

    /// Sends an answer whose arguments are JSON already.
    ///
    /// # Errors
    ///
    /// As for [`super::Socket::emit`].
    pub fn send_json(&self, args: JsonArgs) -> Result<(), EmitError> {
        let Some(id) = self.id else { return Ok(()) };
        let JsonArgs { json, attachments } = args.checked()?;
        let kind = JsonKind::Ack(id);
        let packet = Encoded::from_json(&self.socket.namespace, kind, &json, attachments);
        self.socket.send(&packet)
    }
}

impl JsonArgs {
    fn checked(self) -> Result<Self, ArgsError> {
        match self.attachments.len() > ATTACHMENTS_MAX {
            true => Err(too_many_attachments()),
            false => Ok(self),
        }
    }
}

impl fmt::Debug for PreparedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PreparedEvent").field(&self.0).finish()
    }
}

impl fmt::Debug for EventSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EventSender").field(&self.0.id).finish()
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack")
            .field("socket", &self.socket.id)
            .field("id", &self.id)
            .finish()
    }
}
