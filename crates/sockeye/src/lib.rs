//! WebSocket for Rust: server and client, callback style and loop style. A server runs its endpoints on
//! readiness loops, one for each core. Everything else runs on tokio.
//!
//! What it is:
//! - a server with routes, TLS, HTTP/2 and a drain ([`Server`]), and upgrades for axum and hyper servers ([`upgrade`]);
//! - a client with proxies, redirects and TLS ([`connect`]), which reconnects with a policy ([`reconnect`]);
//! - two styles over one connection: [`Endpoint`] (callbacks, one value per connection) and
//!   [`WebSocket`] (`recv` in a loop); both send through a [`Session`], from any task;
//! - WebSockets on any stream of bytes ([`Session::from_stream`], [`WebSocket::from_stream`]).
//!
//! What it is not:
//! - the protocol: that is `sockeye-proto`, which has no socket;
//! - messaging: this crate doesn't know channels, history and presence, which are built on it.
//!
//! ```text
//!   network                                                                            application
//!   Server   ──> handshake ──┐
//!   upgrade  ──> handshake ──┼──> Established ──> driver ──┬──> Endpoint (callbacks)
//!   connect  ──> handshake ──┘                       │     └──> inbox ──> WebSocket (recv)
//!                                                    v
//!   socket <─────────────────── outbox <───────── writer <──── Session, Group (send, from any task)
//! ```
//!
//! A connection has one driver, which reads. Three hosts call it: a server's worker, a tokio task of an endpoint, and
//! the task in `recv`.
//!
//! # A server
//!
//! ```no_run
//! use sockeye::{Endpoint, Group, Message, Reply, Server, Session};
//!
//! struct Room(Group);
//!
//! impl Endpoint for Room {
//!     fn on_open(&mut self, session: &Session) {
//!         self.0.join(session);
//!     }
//!
//!     fn on_message(&mut self, _: &Session, message: Message<'_>) -> Reply {
//!         self.0.send(message);
//!         Reply::None
//!     }
//! }
//!
//! # async fn serve() -> Result<(), sockeye::Error> {
//! let room = Group::new();
//! Server::bind("127.0.0.1:8080")
//!     .route("/room", move |_request| Ok(Room(room.clone())))
//!     .serve()
//!     .await
//! # }
//! ```
//!
//! # A client
//!
//! ```no_run
//! # async fn talk() -> Result<(), sockeye::Error> {
//! let mut websocket = sockeye::connect("wss://example.com/feed").subprotocols(["v2"]).await?;
//! websocket.send("hello").await?;
//! while let Some(message) = websocket.recv().await? {
//!     println!("{:?}", message.as_text());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The loop ends after a close with 1000, with 1001 or without a code. Any other end is an error:
//! [`Error::closed`] has the code, the reason and who closed. A server that failed (1011) or is overloaded (1013) isn't
//! mistaken for one that had nothing more to send.

// The plain values.
mod closed;
mod error;
mod settings;
mod time;

// What client and server share before a WebSocket is open.
mod address;
mod cidr;
mod handshake;
mod memory;
mod tls;

// One open WebSocket: bytes from and to the socket.
mod connection;

// How a program receives from it and sends to it.
mod endpoint;
mod group;
mod websocket;

// How it is opened.
mod client;
mod server;
pub mod upgrade;

pub use address::{AddressKey, Rate, RetryAfter};
pub use client::{Connect, Connecting, Http2, Proxy, connect, reconnect};
pub use closed::{Closed, Side};
pub use connection::{MessageWriter, Prepared, Sent, Session, Stream, TrySendError};
pub use endpoint::{Endpoint, Reply};
pub use error::{Error, ErrorKind, Rejection};
pub use group::{Group, GroupExcept};
pub use handshake::{ClientId, Refusal, Request, RequestInfo};
pub use memory::{MemoryAccount, MemoryBudget, MemoryPressure};
pub use server::{
    AddressLimits, AddressRateLimiter, Drain, DrainReport, Endings, HttpSettings, Identify,
    Origins, Retry, Route, Server, ServerHandle, identity,
};
pub use settings::{AppHeartbeat, Lifetime, Settings};
pub use sockeye_proto::{
    CloseCode, CloseFrame, HeartbeatConfig, Limits, Message, MessageKind, Printable, Role,
    extension::{Deflate, DeflateParams},
};
pub use tls::{ClientTls, ServerTls};
pub use websocket::{Control, MessageReader, WebSocket};
