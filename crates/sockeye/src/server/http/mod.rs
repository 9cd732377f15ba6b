//! Plain HTTP, served by the program's own axum router, and WebSockets on connections that begin with plain HTTP or
//! speak HTTP/2.
//!
//! ```text
//!   first_request ──> http1 | http2 ──> http_service ──> fallback (axum)
//!                                            └── asks for a WebSocket ──> admit
//! ```

pub(crate) mod http1;
#[cfg(feature = "http2")]
pub(crate) mod http2;

mod rewind;

mod http_service;

mod body;
mod service_body;

pub(crate) use rewind::Rewind;
pub(crate) use service_body::ServiceBody;
