//! What a node counts since its start.
//!
//! ```text
//!   clients, shards, broker ── add ──> cells, several sets: a thread has its own ── sum ──> NodeMetrics
//! ```
//!
//! The path of a message adds to cells and takes no lock. Sums are made when somebody asks
//! ([`Node::metrics`](crate::Node::metrics)).

mod cells;
mod histogram;
mod label;
mod recorder;
mod snapshot;
#[cfg(test)]
mod tests;

pub(crate) use label::{FrameKind, ItemKind, MapChangeKind, NameLabel, TransportLabel};
pub(crate) use recorder::{Recorder, RecoveryOutcome};
pub use snapshot::{
    CodeCount, CommandMetrics, ConnectionMetrics, DurationHistogram, FrameMetrics, ItemMetrics,
    MapSuppressionMetrics, NodeMetrics, RecoveryMetrics, ReplyErrorMetrics, SubscriptionMetrics,
    TransportPings,
};
