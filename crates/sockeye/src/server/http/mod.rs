//! Plain HTTP beside WebSockets: what the program's own pages and APIs are served by.
//!
//! ```text
//!   later requests, streams ──> http1 | http2 ──> desk ──> fallback
//! ```

mod body;
mod desk;
mod failure;
pub(crate) mod http1;
pub(crate) mod http2;
mod http_settings;
mod replay;

pub(crate) use failure::Failure;
pub use http_settings::HttpSettings;
pub(crate) use replay::Replay;
