//! Messages to groups: framed once, left with each worker that has members, and given to each member in
//! order.
//!
//! ```text
//!   Prepared ──> slice of a worker: pending ── end of its round ──> batch ──> members
//!            └─> slice of the tasks ── at once ──> members
//! ```

pub(crate) mod backlog;
mod batch;
mod except;
mod membership;
mod pending;
mod slice;

pub(crate) use backlog::SenderBacklog;
pub(crate) use batch::Batch;
pub(crate) use except::Except;
pub(crate) use membership::{Delivery, Memberships, SlowReaderClose};
pub(crate) use slice::{Progress, Slice};
