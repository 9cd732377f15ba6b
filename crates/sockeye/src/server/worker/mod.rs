//! The server's own readiness loops: one thread per core, which carries the WebSockets of endpoints.
//!
//! ```text
//!   acceptor ──> pending_handshake ──────────> admit ──────> active_session ──> endpoint
//!   (accept)     (head)     │                                   ^
//!                           └─ anything else ──> to_tokio ──> handoff (TLS, slow checks)
//! ```
//!
//! A connection stays with its worker: it is an entry in the slab and has no task and no buffer. Endpoints are called
//! directly. Other threads that want something of a connection post a note to the worker's mailbox.

mod start;

mod readiness;

// Connections, in the order of their life.
mod acceptor;

mod pending_handshake;

mod active_session;

// What the loop needs for them.
mod slab;

mod deliveries;

mod handshake_deadlines;

mod timers;

mod timer_wheel;

mod timer_fd;

mod tokens;

mod poller;

pub(crate) use acceptor::Acceptor;
pub(crate) use start::{begin, prepare};
