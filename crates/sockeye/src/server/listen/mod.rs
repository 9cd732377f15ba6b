//! From an address or a path to accepted connections.
//!
//! ```text
//!   Listen (place, TLS, PROXY) ──bind──> Bound (sockets) ──> Listener, an accept loop on tokio ──> first_request
//!     ^                                    └──> the acceptors of workers (neither TLS nor PROXY)
//!   UnixListen
//! ```
//!
//! `accept` holds what both kinds of accept loops share: socket options, and the pause after a failure.

mod unix_listen;

mod listen;

mod listener;

mod accept;

pub(crate) use accept::{AcceptBackoff, tune};
pub(crate) use listen::{Bound, Listen, ListenPlace, SocketOwner};
pub(crate) use listener::Listener;
pub use unix_listen::UnixListen;
