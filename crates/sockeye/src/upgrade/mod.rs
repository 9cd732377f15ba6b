//! WebSockets in servers of axum and hyper, over HTTP/1.1 and HTTP/2.
//!
//! A [`crate::Server`] needs none of this. Here axum or hyper is the HTTP server. Requests are checked as strictly, and
//! the WebSocket is used in the same two styles.
//!
//! ```text
//!   http::Request ──> Incoming ──> WebSocketUpgrade ──> Agreement ──> response (101, or 200 over HTTP/2)
//!                     (checked)    (origin, options)                     │
//!                                     ^ Upgrades (limits, drain, counts) │
//!                                  WebSocket | Endpoint <── (SmallWrites) <── hyper's upgrade
//! ```

mod extractor;
mod small_writes;
mod upgrades;

pub use extractor::{WebSocketUpgrade, upgrade};
pub use upgrades::Upgrades;
