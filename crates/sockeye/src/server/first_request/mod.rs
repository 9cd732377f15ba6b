//! From the first byte of a connection on tokio to what its first request asks for.
//!
//! ```text
//!   listener ──> socket (preface: PROXY head, TLS) ──> first_request ──> admission | http1 | http2 | refusal
//!                                                   (reads the head)
//!   worker ──> to_tokio (what a worker doesn't carry) ──^
//! ```
//!
//! One deadline, the handshake timeout, holds for all of it.

mod preface;

pub(crate) mod first_request;

mod socket;

mod to_tokio;

pub(crate) use preface::{AcceptSettings, Preface};
pub(crate) use socket::handle_socket;
pub(crate) use to_tokio::ToTokio;
