//! WebSocket for Rust: server and client, callback style and loop style. A server's endpoints run on
//! readiness loops of its own, one for each core; all the rest runs on tokio.
//!
//! What it is:
//! - a server with routes, TLS, HTTP/2 and a drain ([`Server`]), and the same for other people's
//!   axum and hyper servers ([`upgrade`]);
//! - a client with proxies, redirects and TLS ([`connect`]), which comes back when it's told to ([`reconnect`]);
//! - two styles over one connection: [`Endpoint`] (callbacks, one value per connection) and
//!   [`WebSocket`] (`recv` in a loop); both send through a [`Session`], from any task;
//! - for any stream of bytes ([`Session::from_stream`], [`WebSocket::from_stream`]).
//!
//! What it is not:
//! - not the protocol: that is `sockeye-proto`, which has no socket;
//! - not messaging: channels, history and presence are built on it, and it doesn't know them.
//!
//! ```text
//!   network                                                                   application
//!   listener ──> handshake ──> ┐                        ┌──> Endpoint (callbacks)
//!   connect  ──> handshake ──> ┴ Established ──> driver ┴──> inbox ──> WebSocket (recv)
//!                                                  │
//!   socket <──── wire <──── outbox <───────────────┴──── Session (send, from any task)
//! ```
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
//! The loop ends after a close with 1000, with 1001 or without a code. Any other end is an error, and
//! [`Error::closed`] tells who closed, with which code and why: a server that failed (1011) or is overloaded
//! (1013) isn't taken for one that had no more to say.

mod address;
mod cidr;
mod client;
mod closed;
mod connection;
mod endpoint;
mod error;
mod group;
mod handshake;
mod memory;
mod server;
mod settings;
mod time;
mod tls;
pub mod upgrade;
mod websocket;

pub use address::{AddressKey, Rate, RetryAfter};
pub use client::{Connect, Connecting, Http2, Proxy, connect, reconnect};
pub use closed::{Closed, Side};
pub use connection::{MessageWriter, Prepared, Sent, Session, Stream, TrySendError};
pub use endpoint::{Endpoint, Reply};
pub use error::{Error, ErrorKind, Rejection};
pub use group::Group;
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
