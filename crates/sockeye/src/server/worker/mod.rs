//! The server's own readiness loops: one thread per core, which carries the WebSockets of endpoints.
//!
//! ```text
//!   acceptor ──> pending_handshake ──────────> admission ──────> active_session ──> endpoint
//!   (accept)     (head)     │                       ^
//!                           └─ anything else ──> tokio ── handoff (TLS, slow credentials)
//! ```
//!
//! A connection stays with its worker: a record in the slab, no task, no buffer. Endpoints are plain
//! calls. Whoever else wants something of a connection leaves a note in the worker's mailbox.

mod acceptor;
mod active_session;
mod deliveries;
mod handshake_deadlines;
mod pending_handshake;
mod poller;
mod readiness;
mod slab;
mod start;
mod timer_fd;
mod timer_wheel;
mod timers;
mod tokens;

pub(crate) use acceptor::Acceptor;
pub(crate) use start::{begin, prepare};
