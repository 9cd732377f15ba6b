//! How a client is reached: the traits that a transport implements.

use std::any::Any;

use bytes::Bytes;

use crate::{Disconnect, wire::Encoding};

/// One client's way to receive. Frames arrive in the order in which they were sent.
///
/// The methods are called from any thread, also while the hub holds locks: they must not block, and must not call the
/// hub.
///
/// # Slow reader
///
/// A transport keeps a bounded number of bytes for a client that doesn't read. Beyond it [`Transport::send`] returns
/// [`SendError::Full`], and the hub ends the client with 3008.
pub trait Transport: Any + Send + Sync {
    /// Returns the transport's name for logs and metrics, such as `websocket`.
    fn name(&self) -> &'static str;

    /// Returns the client's encoding.
    fn encoding(&self) -> Encoding;

    /// Returns whether the client can't send commands: pushes are sent bare, and the client is told with a connect push that it is
    /// connected.
    fn is_unidirectional(&self) -> bool {
        false
    }

    /// Returns whether the client sends its commands by separate requests, so that it has to know its session and its
    /// node.
    fn is_emulated(&self) -> bool {
        false
    }

    /// Returns the session's id, which nobody else may know; `None` for a transport that needs none.
    fn session(&self) -> Option<&str> {
        None
    }

    /// Returns whether the hub sends pings and waits for pongs. `false` for a transport that has its own, as WebSocket.
    fn needs_pings(&self) -> bool {
        true
    }

    /// Returns whether more than half of what may wait for the client does. Subscribers that lose publications rather than their
    /// connection ([`SlowReader`](crate::namespace::SlowReader)) are sent none then, so that there is room for replies
    /// and pings. `false` if the transport can't tell.
    fn is_crowded(&self) -> bool {
        false
    }

    /// Returns whether an answer of `bytes` bytes can be sent now. If not, the hub keeps the client's command until it can, for
    /// 30 s at most: a client is no slow reader because it has asked for much. `true` if the transport can't tell.
    fn has_room(&self, bytes: usize) -> bool {
        let _ = bytes;
        true
    }

    /// Sends an answer for which there was room. It doesn't count towards what makes a later frame [`SendError::Full`].
    ///
    /// # Errors
    ///
    /// As [`Transport::send`], which is the default.
    fn send_answer(&self, frame: Bytes) -> Result<(), SendError> {
        self.send(frame)
    }

    /// Sends one frame.
    ///
    /// # Errors
    ///
    /// The client reads too slowly, or is gone. The frame isn't sent.
    fn send(&self, frame: Bytes) -> Result<(), SendError>;

    /// Ends the client: what was sent before goes out first, if the client reads it.
    fn disconnect(&self, disconnect: &Disconnect);

    /// Creates an empty list of clients with this type of transport.
    fn new_receivers(&self) -> Box<dyn Receivers>;
}

/// Clients of one type of transport that receive the same frames.
pub trait Receivers: Send + Sync {
    /// Adds a client. The transport has the type of the one that created the list.
    fn add(&self, transport: &dyn Transport);

    /// Removes a client. It still receives what was sent before.
    fn remove(&self, transport: &dyn Transport);

    /// Sends a frame to all. A client that reads too slowly is ended with 3008, the others go on.
    fn send(&self, frame: &Bytes);

    /// Ends all.
    fn disconnect(&self, disconnect: &Disconnect);
}

/// Why a frame was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The client reads too slowly: too much waits for it.
    Full,
    /// The client is gone.
    Closed,
}
