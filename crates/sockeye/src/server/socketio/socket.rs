//! One client in one namespace.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use sockeye_proto::CloseCode;
use tokio::time::timeout;

use super::{
    args,
    broadcast::Broadcast,
    outgoing::Encoded,
    prepared::EventSender,
    rooms::JoinError,
    socket_core::{CallError, EmitError, SocketCore},
};
use crate::handshake::Request;

/// One client in one namespace, with the state that the namespace's connect handler has made. Cheap to clone.
///
/// # Slow reader
///
/// [`Socket::emit`] says so if the client doesn't read as fast: [`EmitError::Full`]. A broadcast closes the connection of such a client,
/// which connects anew.
///
/// # Closing
///
/// [`Socket::disconnect`] ends this namespace for good: clients don't come back by themselves. [`Socket::close`] closes the connection
/// below all namespaces, and clients connect anew.
pub struct Socket<S> {
    core: Arc<SocketCore>,
    state: Arc<S>,
}

impl<S> Socket<S> {
    pub(super) fn new(core: Arc<SocketCore>, state: Arc<S>) -> Self {
        Self { core, state }
    }

    pub(super) fn core(&self) -> &Arc<SocketCore> {
        &self.core
    }

    /// Returns the socket's id, which clients know too. It is also a room, whose only member is the socket.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.core.id
    }

    /// Returns the name of the namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.core.namespace
    }

    /// Returns what the namespace's connect handler has made.
    #[must_use]
    pub fn state(&self) -> &S {
        &self.state
    }

    /// Returns the request that opened the connection.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.core.request
    }

    /// Returns whether the socket is connected.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.core.is_open()
    }

    /// Sends an event now. `args` are a tuple or a list; any other value is one argument.
    ///
    /// # Errors
    ///
    /// [`EmitError::Full`] if the outbox has no room, [`EmitError::Disconnected`], or [`EmitError::Args`].
    pub fn emit(&self, event: &str, args: impl Serialize) -> Result<(), EmitError> {
        let packet = Encoded::event(&self.core.namespace, event, None, &args)?;
        self.core.send(&packet)
    }

    /// Returns a sender that doesn't hold the state.
    #[must_use]
    pub fn sender(&self) -> EventSender {
        EventSender::new(&self.core)
    }

    /// Sends an event if nothing else waits for the client; drops it otherwise, with its attachments. For values that the next one
    /// replaces, such as positions.
    ///
    /// # Errors
    ///
    /// [`EmitError::Disconnected`], or [`EmitError::Args`].
    pub fn emit_volatile(&self, event: &str, args: impl Serialize) -> Result<(), EmitError> {
        let packet = Encoded::event(&self.core.namespace, event, None, &args)?;
        self.core.send_volatile(&packet)
    }

    /// Sends an event, and waits for what the client answers, for at most `time`. `R` is a tuple of the answer's arguments.
    ///
    /// In a handler it may wait as long as other packets of the client have room to wait
    /// ([`crate::socketio::SocketIoSettings::waiting_packets_max`]); answers pass them.
    ///
    /// # Errors
    ///
    /// [`CallError`] says why there is no answer.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the event may have been sent, and the answer is ignored.
    pub async fn call<R: DeserializeOwned>(
        &self,
        event: &str,
        args: impl Serialize,
        time: Duration,
    ) -> Result<R, CallError> {
        // The place for the answer is there before the event is sent.
        let (place, answer) = self.core.begin_call()?;
        let packet = Encoded::event(&self.core.namespace, event, Some(place.id), &args);
        drop(args);
        let packet = packet.map_err(|error| CallError::Emit(EmitError::Args(error)))?;
        self.core.send(&packet).map_err(CallError::Emit)?;
        drop(packet);
        let answer = timeout(time, answer).await;
        let answer = answer.map_err(|_| CallError::TimedOut)?;
        let answer = answer.map_err(|_| CallError::Disconnected)?;
        args::decode(answer.values, answer.attachments).map_err(CallError::Answer)
    }

    /// Adds the socket to a room.
    ///
    /// # Errors
    ///
    /// [`JoinError`]: the socket has too many, or is disconnected.
    pub fn join(&self, room: &str) -> Result<(), JoinError> {
        self.core.join(room)
    }

    /// Removes the socket from a room.
    pub fn leave(&self, room: &str) {
        self.core.rooms.leave(&self.core.id, room);
    }

    /// Returns the rooms that the socket is in, but for its own.
    #[must_use]
    pub fn rooms(&self) -> Vec<Arc<str>> {
        self.core.rooms.rooms_of(&self.core.id)
    }

    /// Begins a broadcast to a room, without this socket.
    pub fn to(&self, room: &str) -> Broadcast {
        self.broadcast().to(room)
    }

    /// Begins a broadcast to the whole namespace, without this socket.
    pub fn broadcast(&self) -> Broadcast {
        let (rooms, namespace) = (&self.core.rooms, &self.core.namespace);
        Broadcast::new(Arc::clone(rooms), Arc::clone(namespace)).except(&self.core.id)
    }

    /// Ends this namespace for the client, which doesn't come back by itself.
    pub fn disconnect(&self) {
        self.core.disconnect();
    }

    /// Closes the connection below all namespaces. The client connects anew.
    pub fn close(&self) {
        self.core.sender.close(CloseCode::SERVICE_RESTART);
    }
}

impl<S> Clone for Socket<S> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.core), Arc::clone(&self.state))
    }
}

impl<S> fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("id", &self.core.id)
            .field("namespace", &self.core.namespace)
            .finish_non_exhaustive()
    }
}
