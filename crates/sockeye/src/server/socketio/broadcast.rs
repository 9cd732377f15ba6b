//! Events for many sockets.

use std::sync::Arc;

use serde::Serialize;
use sockeye_proto::CloseCode;

use super::{
    outgoing::Encoded,
    rooms::Rooms,
    socket_core::{EmitError, SocketCore},
};

/// An event for many sockets of a namespace: who gets it. Each method returns a new value, so that no choice stays behind for the next
/// event.
///
/// ```no_run
/// # fn example(chat: sockeye::socketio::NamespaceHandle) -> Result<(), sockeye::socketio::EmitError> {
/// let sent = chat.to("room 1").to("room 2").except("muted").emit("said", ("ann", "hello"))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a broadcast does nothing until it emits"]
pub struct Broadcast {
    table: Arc<Rooms<SocketCore>>,
    namespace: Arc<str>,
    rooms: Vec<Arc<str>>,
    except: Vec<Arc<str>>,
}

impl Broadcast {
    pub(super) fn new(table: Arc<Rooms<SocketCore>>, namespace: Arc<str>) -> Self {
        Self {
            table,
            namespace,
            rooms: Vec::new(),
            except: Vec::new(),
        }
    }

    /// Adds the sockets of a room. A socket in several rooms gets the event once. Without any room, all of the namespace get it.
    pub fn to(mut self, room: &str) -> Self {
        self.rooms.push(room.into());
        self
    }

    /// Leaves out the sockets of a room.
    pub fn except(mut self, room: &str) -> Self {
        self.except.push(room.into());
        self
    }

    /// Sends the event, encoded once. Returns how many sockets get it. A client whose outbox is full loses its connection, and connects
    /// anew.
    ///
    /// # Errors
    ///
    /// [`EmitError::Args`].
    pub fn emit(&self, event: &str, args: impl Serialize) -> Result<usize, EmitError> {
        let packet = Encoded::event(&self.namespace, event, None, &args)?;
        let sockets = self.sockets();
        let sent = sockets.iter().filter(|socket| match socket.send(&packet) {
            Ok(()) => true,
            Err(EmitError::Full) => {
                socket.sender.close(CloseCode::TRY_AGAIN_LATER);
                false
            }
            Err(_) => false,
        });
        Ok(sent.count())
    }

    /// Sends the event to the sockets for which nothing else waits.
    ///
    /// # Errors
    ///
    /// [`EmitError::Args`].
    pub fn emit_volatile(&self, event: &str, args: impl Serialize) -> Result<(), EmitError> {
        let packet = Encoded::event(&self.namespace, event, None, &args)?;
        for socket in self.sockets() {
            let _ = socket.send_volatile(&packet);
        }
        Ok(())
    }

    /// Adds the sockets to a room; those that are in too many are left out.
    pub fn join(&self, room: &str) {
        for socket in self.sockets() {
            let _ = socket.join(room);
        }
    }

    /// Removes the sockets from a room.
    pub fn leave(&self, room: &str) {
        for socket in self.sockets() {
            socket.rooms.leave(&socket.id, room);
        }
    }

    /// Ends the namespace for the sockets, whose clients don't come back by themselves.
    pub fn disconnect(&self) {
        for socket in self.sockets() {
            socket.disconnect();
        }
    }

    /// Returns how many sockets would get an event.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sockets().len()
    }

    /// Returns whether no socket would get an event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn sockets(&self) -> Vec<Arc<SocketCore>> {
        self.table.select(&self.rooms, &self.except)
    }
}

impl std::fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broadcast")
            .field("namespace", &self.namespace)
            .field("rooms", &self.rooms)
            .field("except", &self.except)
            .finish_non_exhaustive()
    }
}
