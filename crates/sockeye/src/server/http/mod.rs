//! Plain HTTP beside WebSockets: what the program's own pages and APIs are served by.
//!
//! ```text
//!   later requests, streams ──> http1 | http2 ──> http_service ──> fallback
//! ```

mod body;
pub(crate) mod http1;
pub(crate) mod http2;
mod http_service;
mod rewind;
pub(crate) use rewind::Rewind;
