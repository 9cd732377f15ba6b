//! How a connection comes to a worker that was accepted elsewhere, and what else the server asks of workers.
//!
//! ```text
//!   admission ──> handoff ──> workers ──> orders of one worker ──> its readiness loop
//! ```

mod handoff;
mod orders;
mod workers;

pub(crate) use handoff::Handoff;
pub(crate) use handoff::socket_of;
pub(crate) use orders::{Order, Orders};
pub(crate) use workers::Workers;
