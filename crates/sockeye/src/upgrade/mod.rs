//! WebSockets on other people's servers: axum and hyper, over HTTP/1.1 and HTTP/2.
//!
//! A server of your own has [`crate::Server`], which needs none of this. Here the HTTP server is
//! somebody else's; what it hands out is checked as strictly, and ends in the same two styles.
//!
//! ```text
//!   http::Request ──> incoming ──> WebSocketUpgrade ──> response (101, or 200 over HTTP/2)
//!                     (checked)    agreement          └──> hyper's upgrade ──> WebSocket | Endpoint
//! ```

mod extractor;
mod small_writes;

pub use extractor::{WebSocketUpgrade, upgrade};
