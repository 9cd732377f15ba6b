//! Plain HTTP beside WebSockets: what the program's own pages and APIs are served by.
//!
//! ```text
//!   later requests, streams ──> http1 | http2 ──> desk ──> fallback
//! ```

mod body;
mod desk;
pub(crate) mod http1;
pub(crate) mod http2;
mod replay;

pub(crate) use replay::Replay;
