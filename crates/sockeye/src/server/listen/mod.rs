//! From an address to accepted connections.
//!
//! ```text
//!   Listen (address, TLS, PROXY) ──bind──> Bound (sockets) ──> Listener, an accept loop on tokio ──> first_request
//!                                            └──> the acceptors of workers (plain TCP)
//! ```
//!
//! `accept` holds what both kinds of accept loops share: socket options, and the pause after a failure.

mod listen;

mod listener;

mod accept;

pub(crate) use accept::{AcceptBackoff, tune};
pub(crate) use listen::{Bound, Listen, ListenPlace, SocketOwner};
pub(crate) use listener::Listener;
