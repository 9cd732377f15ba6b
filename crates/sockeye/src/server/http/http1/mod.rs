//! Plain HTTP/1.1, and WebSockets on connections that begin with it.
//!
//! ```text
//!   socket ──> CheckedHeads ──────────> hyper ──> service ──> fallback
//!              checks each head                     └──> a WebSocket after all
//!                    └── RequestCycle: what the head was ──┘
//! ```
//!
//! `chunks` finds the end of a chunked body, `write_timeout` limits how long a write may wait.

mod connection;

mod checked_heads;

mod chunks;
mod write_timeout;

mod request_cycle;

pub(crate) use connection::serve;
