//! The broker of one node: everything in memory, nothing survives the process.
//!
//! ```text
//!   Memory ── table: name -> channel ── lock ──┬─ stream: epoch, top offset, version, publications
//!     │                                        └─ keys: idempotency key -> position
//!     ├─ schedule: when which channel has something that expires
//!     └─ usage: how many channels and bytes there are, against the limits
//! ```
//!
//! Locks are taken in this order: table, channel, schedule. The lock of a channel is held while its publication is
//! delivered, and no other lock is.

mod broker;
mod channel;
mod limits;
mod schedule;
mod stream;
mod table;

pub use broker::Memory;
pub use limits::{MemoryLimits, MemoryUsage};

#[cfg(test)]
mod tests;
