//! The server's own readiness loops: one thread per core, which carries the WebSockets of endpoints.
//!
//! ```text
//!   entrance ──> opening ──────────> gate ──────> served ──> endpoint
//!   (accept)     (head)     │                       ^
//!                           └─ anything else ──> tokio ── adoption (TLS, slow credentials)
//! ```
//!
//! A connection stays with its worker: a record in the slab, no task, no buffer. Endpoints are plain
//! calls. Whoever else wants something of a connection leaves a note in the worker's mailbox.

mod alarm_clock;
mod alarms;
mod deliveries;
mod entrance;
mod lobby;
mod numbers;
mod opening;
mod readiness;
mod served;
mod slab;
mod sleeper;
mod start;
mod wheel;

pub(crate) use entrance::Entrance;
pub(crate) use start::{assemble, begin};
