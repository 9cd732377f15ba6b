//! What is known of one client in one namespace, whatever its state.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::oneshot;

use super::{
    args::{AnyArgs, ArgsError},
    outgoing::{Encoded, PacketSender, SendError},
    packet::ServerPacketKind,
    rooms::{JoinError, Rooms},
};
use crate::handshake::Request;

/// What is known of a socket whatever its state.
pub(super) struct SocketCore {
    pub(super) id: Arc<str>,
    pub(super) namespace: Arc<str>,
    pub(super) rooms: Arc<Rooms<SocketCore>>,
    pub(super) sender: Arc<PacketSender>,
    pub(super) request: Arc<Request>,
    pub(super) rooms_max: usize,
    pub(super) waiting_acks_max: usize,
    acks: Mutex<Acks>,
    is_open: AtomicBool,
}

#[derive(Default)]
struct Acks {
    next: u64,
    waiting: HashMap<u64, oneshot::Sender<AnyArgs>>,
}

/// Waits for the arguments of an answer and its attachments.
pub(super) type Answer = oneshot::Receiver<AnyArgs>;

/// Why an event can't be sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum EmitError {
    /// The outbox of the client has no room.
    Full,
    /// The socket is disconnected.
    Disconnected,
    /// The arguments can't be sent.
    Args(ArgsError),
}

/// Why a call has no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The event wasn't sent.
    Emit(EmitError),
    /// As many calls wait as may: [`crate::socketio::SocketIoSettings::waiting_acks_max`].
    TooManyCalls,
    /// The client hasn't answered in time.
    TimedOut,
    /// The socket was disconnected before the client answered.
    Disconnected,
    /// The answer has another type than the program expects.
    Answer(ArgsError),
}

/// The place of an answer, which is given back whatever becomes of the call.
pub(super) struct CallPlace<'c> {
    core: &'c SocketCore,
    pub(super) id: u64,
}

impl Drop for CallPlace<'_> {
    fn drop(&mut self) {
        self.core.acks.lock().waiting.remove(&self.id);
    }
}

impl SocketCore {
    pub(super) fn new(
        id: Arc<str>,
        namespace: Arc<str>,
        rooms: Arc<Rooms<SocketCore>>,
        sender: Arc<PacketSender>,
        request: Arc<Request>,
        (rooms_max, waiting_acks_max): (usize, usize),
    ) -> Self {
        Self {
            id,
            namespace,
            rooms,
            sender,
            request,
            rooms_max,
            waiting_acks_max,
            acks: Mutex::default(),
            is_open: AtomicBool::new(true),
        }
    }

    pub(super) fn send(&self, packet: &Encoded) -> Result<(), EmitError> {
        if !self.is_open.load(Ordering::Acquire) {
            return Err(EmitError::Disconnected);
        }
        self.sender.send(packet).map_err(|error| match error {
            SendError::Full => EmitError::Full,
            SendError::Closed => EmitError::Disconnected,
        })
    }

    pub(super) fn send_volatile(&self, packet: &Encoded) -> Result<(), EmitError> {
        if !self.sender.is_idle() {
            return Ok(());
        }
        match self.send(packet) {
            Err(EmitError::Full) => Ok(()),
            sent => sent,
        }
    }

    pub(super) fn join(&self, room: &str) -> Result<(), JoinError> {
        self.rooms.join(&self.id, room, self.rooms_max)
    }

    /// Takes the place for an answer.
    pub(super) fn begin_call(&self) -> Result<(CallPlace<'_>, Answer), CallError> {
        let mut acks = self.acks.lock();
        if !self.is_open.load(Ordering::Acquire) {
            return Err(CallError::Disconnected);
        }
        if acks.waiting.len() >= self.waiting_acks_max {
            return Err(CallError::TooManyCalls);
        }
        let id = acks.next;
        // Some clients read ids as signed numbers of 32 bits.
        acks.next = (id + 1) & 0x7FFF_FFFF;
        let (sender, receiver) = oneshot::channel();
        acks.waiting.insert(id, sender);
        Ok((CallPlace { core: self, id }, receiver))
    }

    /// Hands an answer to the call that waits for it. One that nobody waits for is ignored.
    pub(super) fn handle_ack(&self, id: u64, args: Vec<Value>, attachments: Vec<Bytes>) {
        let waiting = self.acks.lock().waiting.remove(&id);
        if let Some(waiting) = waiting {
            let _ = waiting.send(AnyArgs {
                values: args,
                attachments,
            });
        }
    }

    /// Ends the namespace for the client, and tells it.
    pub(super) fn disconnect(&self) {
        if self.end() {
            let packet = Encoded::plain(ServerPacketKind::Disconnect, &self.namespace, "");
            let _ = self.sender.send(&packet);
            self.sender.handle_ended();
        }
    }

    /// Notes that the socket is disconnected: it leaves its rooms, and its calls fail. Returns whether it was connected.
    pub(super) fn end(&self) -> bool {
        let was_open = self.is_open.swap(false, Ordering::AcqRel);
        if was_open {
            self.rooms.remove(&self.id);
            self.acks.lock().waiting.clear();
        }
        was_open
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }
}

impl From<ArgsError> for EmitError {
    fn from(error: ArgsError) -> Self {
        Self::Args(error)
    }
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the outbox of the client is full"),
            Self::Disconnected => f.write_str("the socket is disconnected"),
            Self::Args(_) => f.write_str("the arguments can't be sent"),
        }
    }
}

impl std::error::Error for EmitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Args(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Emit(_) => "the event wasn't sent",
            Self::TooManyCalls => "too many calls wait for their answers",
            Self::TimedOut => "the client hasn't answered in time",
            Self::Disconnected => "the socket was disconnected before the client answered",
            Self::Answer(_) => "the answer has another type",
        })
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Emit(error) => Some(error),
            Self::Answer(error) => Some(error),
            _ => None,
        }
    }
}
