//! HTTP/2, with WebSockets on its streams (RFC 8441).
//!
//! ```text
//!   socket ──> ActivityStream ──> h2 ──> connection ─────> answer, one task for each stream
//!              when the peer was         Http2Keepalive:    ├──> fallback
//!              active last               pings, idle time   └──> Http2Stream ──> a WebSocket
//! ```
//!
//! The server uses h2 directly and not through hyper, because hyper's upgraded streams accept whatever is written and
//! so hide from an outbox how much the peer reads.

mod connection;

mod peer_activity;

mod unread;

mod http2_keepalive;

mod streams;

mod answer;

mod request_body;

pub(crate) use connection::serve;
