//! Whether a WebSocket that was asked for is opened.
//!
//! ```text
//!   accepted, first (request) ──> gate: route ──> origin ──> identity ──> authorize ──> Admitted | Refusal
//! ```

mod accepted;
mod first;
mod gate;

pub(crate) use accepted::{Accepted, Standing};
pub(crate) use first::First;
pub(crate) use gate::{Admission, Admitted};
