//! `/metrics`: what the server counts, in Prometheus' text format.
//!
//! ```text
//!   hub: Node::metrics ──────────┐
//!   sockeye: ServerHandle ───────┤
//!   memory budget, /proc/self ───┼──> families ──> text, when Prometheus asks
//!   API: durations and errors ───┤
//!   WebSockets: close codes ─────┘
//! ```

mod endpoint;
mod families;
mod node_families;
mod process;
mod server_families;

pub(crate) use endpoint::Metrics;
