//! From the first byte of a connection to what it wants.
//!
//! ```text
//!   listener ──> preface (PROXY head, TLS) ──> intake (first request, deadline) ──> gate | http1 | http2
//!   worker ──> stranger (what a worker doesn't carry) ──^
//! ```

pub(crate) mod intake;
mod preface;
mod stranger;

pub(crate) use preface::{Preface, Ways};
pub(crate) use stranger::Stranger;
