//! SockJS (protocol 0.3.3): endpoints for clients that can't use WebSocket. It stands above the connection: a session's connection is
//! one of RFC 6455 whose stream is a `relay`, and requests of plain HTTP hand over and take its messages.
//!
//! ```text
//!   request ──> target (which path) ──> access (which origin) ──> service ──┬─ pages
//!                                                                           ├─ session_table (by id) ──> session
//!                                                                           │                          │ relay
//!   POST ──> json ──> frames ───────────────────────────────────────────────┼──────────────────────> ──┼──> connection ──> endpoint
//!   response <── form <── receiver <────────────────────────────────────────┴──────── frames, json <───┘
//!   WebSocket <──> websocket <──> receiver
//! ```

mod settings;

// The protocol's text: bytes in, bytes out.
mod form;
mod json;
mod outbound;
mod target;

// One session.
mod session;

// The answers.
mod body;
mod cookie;
mod mount;
mod pages;
mod receiver;
mod service;
mod websocket;

pub(crate) use body::SockJsBody;
pub use mount::SockJs;
pub(crate) use mount::SockJsMounts;
pub(crate) use service::SockJsRequest;
pub use settings::{SessionCookie, SockJsSettings, SockJsWebSocket};
