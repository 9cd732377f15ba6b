//! WebSocket for Rust: server and client, callback style and loop style. A server runs its endpoints on
//! readiness loops, one for each core. Everything else runs on tokio.
//!
//! What it is:
//! - a server with routes, TLS, HTTP/2 and a drain ([`Server`]), and upgrades for axum and hyper servers ([`upgrade`]);
//! - a client with proxies, redirects and TLS ([`connect`]), which reconnects with a policy ([`reconnect`]);
//! - two styles over one connection: [`Endpoint`] (callbacks, one value per connection) and
//!   [`WebSocket`] (`recv` in a loop); both send through a [`Session`], from any task;
//! - WebSockets on any stream of bytes ([`Session::from_stream`], [`WebSocket::from_stream`]), also where another library has
//!   done the opening handshake ([`UpgradedStream`]).
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
//!
//! # Features
//!
//! On by default: `client`, `server`, `tls`, `http2`, `axum` and `deflate`, which is what most programs want. A program that
//! only dials `ws:` has the fewest dependencies with `default-features = false, features = ["client"]`.
//!
//! | feature | default | what it brings |
//! |---|---|---|
//! | `client` | yes | `connect`, `reconnect`, proxies |
//! | `idn` | yes | internationalized names in URLs (`wss://bücher.example`); without it Punycode only, and 25 packages less |
//! | `server` | yes | `Server`, its routes and workers, `Refusal` |
//! | `tls` | yes | `wss:` by rustls: the features `ring` and `native-roots` |
//! | `ring` | by `tls` | TLS with the cryptography of ring |
//! | `aws-lc-rs` | no | TLS with the cryptography of AWS-LC; takes the place of ring where both are on |
//! | `native-roots` | by `tls` | a client trusts the roots of the operating system |
//! | `webpki-roots` | no | a client trusts the roots of Mozilla, compiled in; with `native-roots` only where the system has none |
//! | `rustls` | by `ring`, … | TLS without cryptography and roots of its own, for a program that installs a `CryptoProvider` |
//! | `http2` | yes | WebSockets over HTTP/2 (RFC 8441), in client and server |
//! | `axum` | yes | the fallback of a `Server`, the module `upgrade`, extractors; turns on `server` |
//! | `deflate` | yes | permessage-deflate (RFC 7692) |
//! | `sockjs` | no | SockJS, for clients without WebSocket: `Server::sockjs`; turns on `server` |
//! | `engineio` | no | Engine.IO 4, the protocol below Socket.IO: `Server::engineio`; turns on `server` |
//! | `socketio` | no | Socket.IO 5: `Server::socketio` and the module `socketio`; turns on `engineio` and `json` |
//! | `stream` | no | `futures::Stream` and `Sink` for [`WebSocket`] |
//! | `json` | no | messages that are JSON: `recv_json`, `send_json` |
//!
//! Without any of them there are sessions over streams that the program brings: [`Session::from_stream`] and
//! [`WebSocket::from_stream`]. Whatever provider of rustls the program installs as its default is used before `aws-lc-rs` and `ring`.
//! Without `rustls`, dialling `wss:` is an error of kind [`ErrorKind::Config`] that names the feature.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(
        feature = "client",
        feature = "server",
        feature = "axum",
        feature = "http2",
        feature = "ring",
        feature = "native-roots"
    )),
    allow(
        dead_code,
        unreachable_pub,
        unused_imports,
        reason = "the parts share more than a build with some of them uses"
    )
)]

// The plain values.
mod closed;
mod error;
mod log_limit;
mod settings;
mod time;

// What client and server share before a WebSocket is open.
mod address;
#[cfg(any(feature = "client", feature = "server"))]
mod cidr;
mod handshake;
mod memory;
#[cfg(any(feature = "client", feature = "server"))]
mod tls;

// One open WebSocket: bytes from and to the socket.
mod connection;

// How a program receives from it and sends to it.
mod endpoint;
mod group;
mod websocket;

// How it is opened.
#[cfg(feature = "client")]
mod url;

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub mod upgrade;

pub use bytes;
pub use http;
#[cfg(feature = "rustls")]
#[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
pub use rustls;

pub use address::AddressKey;
#[cfg(feature = "server")]
#[cfg_attr(docsrs, doc(cfg(feature = "server")))]
pub use address::{Rate, RetryAfter};
#[cfg(all(feature = "client", feature = "http2"))]
#[cfg_attr(docsrs, doc(cfg(all(feature = "client", feature = "http2"))))]
pub use client::Http2;
#[cfg(feature = "client")]
#[cfg_attr(docsrs, doc(cfg(feature = "client")))]
pub use client::{Connect, Connecting, Proxy, connect, connect_request, reconnect};
pub use closed::{Closed, Side};
pub use connection::{
    MessageWriter, Prepared, Sent, Session, Stream, TrySendError, UpgradedStream,
};
pub use endpoint::{Endpoint, Reply};
pub use error::{Error, ErrorKind, Rejection};
pub use group::{Group, GroupExcept};
#[cfg(feature = "rustls")]
#[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
pub use handshake::PeerCertificates;
#[cfg(feature = "server")]
#[cfg_attr(docsrs, doc(cfg(feature = "server")))]
pub use handshake::Refusal;
pub use handshake::{ClientId, Request, RequestInfo};
pub use memory::{MemoryAccount, MemoryBudget, MemoryHolder, MemoryPressure};
#[cfg(feature = "socketio")]
#[cfg_attr(docsrs, doc(cfg(feature = "socketio")))]
pub use server::socketio;
#[cfg(feature = "server")]
#[cfg_attr(docsrs, doc(cfg(feature = "server")))]
pub use server::{
    AddressLimits, AddressRateLimiter, Drain, DrainReport, Endings, HttpSettings, Identify,
    Origins, Retry, Route, Server, ServerHandle, UnixListen, identity,
};
#[cfg(feature = "engineio")]
#[cfg_attr(docsrs, doc(cfg(feature = "engineio")))]
pub use server::{EngineIo, EngineIoSettings, EngineIoUpgrade};
#[cfg(feature = "sockjs")]
#[cfg_attr(docsrs, doc(cfg(feature = "sockjs")))]
pub use server::{SessionCookie, SockJs, SockJsSettings, SockJsWebSocket};
pub use settings::{AppHeartbeat, Lifetime, Settings};
pub use sockeye_proto::{
    Binary, CloseCode, CloseFrame, HeartbeatConfig, Limits, Message, MessageKind, Printable, Role,
    Text,
    extension::{Deflate, DeflateParams},
};
#[cfg(all(feature = "client", feature = "rustls"))]
#[cfg_attr(docsrs, doc(cfg(all(feature = "client", feature = "rustls"))))]
pub use tls::ClientTls;
#[cfg(all(feature = "server", feature = "rustls"))]
#[cfg_attr(docsrs, doc(cfg(all(feature = "server", feature = "rustls"))))]
pub use tls::ServerTls;
pub use websocket::{Control, MessageReader, WebSocket};
