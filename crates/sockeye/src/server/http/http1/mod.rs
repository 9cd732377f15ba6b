//! Plain HTTP/1.1, and WebSockets on connections that begin with it.
//!
//! ```text
//!   socket ──> CheckedHeads ──> hyper ──> service ──> fallback
//!              every head is judged         │
//!              as the first one is          └──> a WebSocket after all
//!                    └──── Turn: what the head was ────┘
//! ```

mod checked_heads;
mod chunks;
mod connection;
mod stall;
mod turn;

pub(crate) use connection::serve;
