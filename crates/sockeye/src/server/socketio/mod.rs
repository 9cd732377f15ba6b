//! Socket.IO 5: namespaces, events with acks and attachments, rooms. It stands above Engine.IO, and a connection is a conversation
//! of the loop style.
//!
//! ```text
//!   session ──> packet ──> decoder (attachments) ──> connection ──> namespace: connect, events, one after the other
//!   session <── outgoing <── args <── socket, broadcast (rooms) <──────┘
//! ```
//!
//! What it isn't: an adapter for several servers, and the history by which a connection's state is recovered. A program that has one gives
//! clients the id to come back with: [`Namespace::recovery_id`].

mod settings;

// The protocol's text: no I/O, no clock.
mod args;
mod decoder;
mod packet;

mod outgoing;

mod rooms;

mod socket_core;

mod broadcast;

mod prepared;

mod socket;

mod namespace;

mod shared;

mod connection;

mod client;
mod server;

pub use args::{AnyArgs, ArgsError, Attachment};
pub use broadcast::Broadcast;
pub use client::TestClient;
pub use namespace::{ConnectRefusal, ConnectRequest, DisconnectReason, Namespace, NamespaceHandle};
pub use prepared::{Ack, EventSender, JsonArgs, PreparedEvent};
pub use rooms::JoinError;
pub use server::{InMemory, SocketIo};
pub use settings::SocketIoSettings;
pub use socket::Socket;
pub use socket_core::{CallError, EmitError};
