//! The opening handshake (RFC 6455 section 4, RFC 8441): one HTTP request, one HTTP response.
//!
//! ```text
//!   server  bytes ──> RequestHead ──> ServerHandshake::check ──> response (101) | Refusal (4xx, 5xx)
//!   client  ClientHandshake::request ──> bytes … bytes ──> ResponseHead ──> verify ──> Agreed
//! ```
//!
//! A head borrows the caller's buffer. The bytes after the head stay in the buffer: they are the first frames.
//!
//! This parser is strict where common HTTP parsers are lenient. A WebSocket server runs behind proxies, and a request that two
//! parsers read differently is a security hole.

mod accept;
mod authority;
mod body;
mod client;
mod field;
mod head;
mod proxy_head;
mod refusal;
mod server;
mod target;
mod token;

pub use accept::accept_key;
pub use authority::is_authority;
pub use body::BodyLength;
pub use client::{Agreed, ClientHandshake, HandshakeError};
pub use field::FieldError;
pub use head::{HeadError, Header, RequestHead, ResponseHead};
pub use proxy_head::{ProxyHead, ProxyHeadError};
pub use refusal::Refusal;
pub use server::ServerHandshake;
pub use target::Target;
