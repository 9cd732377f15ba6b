//! The sending side. Messages become frames, frames leave in as few writes as possible, and bytes that the
//! socket refuses wait in a bounded queue.
//!
//! ```text
//!   Session::send ──> writer ──────────────────────> io
//!   Prepared ──────────^  │ what the socket refuses  ^
//!                         └─────> outbox ────────────┤
//!   Reply ──> reply_batch ── at the end of a turn ───┘
//! ```

mod outbox;
mod prepared;
mod reply_batch;
mod writer;

pub(crate) use outbox::Outbox;
pub use prepared::Prepared;
pub(crate) use reply_batch::Framed;
pub(crate) use reply_batch::LARGE_BYTES_MIN;
pub(crate) use reply_batch::ReplyBatch;
pub(crate) use writer::Cork;
pub(crate) use writer::OutboxError;
pub(crate) use writer::Writer;
