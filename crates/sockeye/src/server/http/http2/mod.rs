//! HTTP/2, with WebSockets on its streams (RFC 8441).
//!
//! ```text
//!   socket ──> Watched ──> h2 ──> connection ──> answer, one task for each stream
//!              signs of life      pings, idle     ├──> fallback
//!                                 time, drain     └──> Http2Stream ──> a WebSocket
//! ```
//!
//! By h2 itself and not by way of hyper: hyper's upgraded streams take whatever is written, and so hide from
//! an outbox how much the peer reads.

mod answer;
mod connection;
mod request_body;
mod streams;
mod unread;
mod watch;
mod watched;

pub(crate) use connection::serve;
