//! The sending side: messages become frames, frames leave in as few writes as possible, and what the socket
//! refuses waits in a bounded queue.
//!
//! ```text
//!   Session::send ──> wire ──> outbox ──> io
//!   Reply ──> replies ──^
//! ```

mod outbox;
mod prepared;
mod replies;
mod wire;

pub(crate) use outbox::Outbox;
pub use prepared::Prepared;
pub(crate) use replies::{Framed, LARGE_BYTES_MIN, Replies};
pub(crate) use wire::{Cork, Refused, Wire};
