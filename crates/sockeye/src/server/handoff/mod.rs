//! How a connection that tokio has accepted reaches a worker, and what else the server asks of workers.
//!
//! ```text
//!   admission ──> handoff ──> workers ──> orders of one worker ──> its readiness loop
//! ```

mod handoff;

mod workers;

mod orders;

pub(crate) use handoff::Handoff;
pub(crate) use handoff::socket_of;
pub(crate) use orders::{Order, Orders};
pub(crate) use workers::Workers;
