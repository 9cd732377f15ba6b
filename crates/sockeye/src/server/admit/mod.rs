//! Whether a WebSocket that was asked for is opened.
//!
//! ```text
//!   accepted, first (request) ──> admission: route ──> origin ──> identity ──> authorize ──> Admitted | Refusal
//! ```

mod accepted;
mod admission;
mod first;

pub(crate) use accepted::{Accepted, Capacity};
pub(crate) use admission::Admission;
pub(crate) use admission::Admitted;
pub(crate) use first::First;
