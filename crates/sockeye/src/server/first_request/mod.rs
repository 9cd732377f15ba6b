//! From the first byte of a connection to what it wants.
//!
//! ```text
//!   listener ──> preface (PROXY head, TLS) ──> first_request (first request, deadline) ──> admission | http1 | http2
//!   worker ──> to_tokio (what a worker doesn't carry) ──^
//! ```

pub(crate) mod first_request;
mod preface;
mod to_tokio;

pub(crate) use preface::{Preface, Ways};
pub(crate) use to_tokio::ToTokio;
