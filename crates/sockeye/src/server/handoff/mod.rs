//! How a connection comes to a worker that was accepted elsewhere, and what else the server asks of workers.
//!
//! ```text
//!   gate ──> adoption ──> crew ──> orders of one worker ──> its readiness loop
//! ```

mod adoption;
mod crew;
mod orders;

pub(crate) use adoption::{Adoption, socket_of};
pub(crate) use crew::Crew;
pub(crate) use orders::{Order, Orders};
