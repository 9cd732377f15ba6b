//! Addresses that the server listens on, and the connections that come there.

mod accept;
mod listen;
mod listener;

pub(crate) use accept::{AcceptBackoff, tune};
pub(crate) use listen::{Bound, Listen};
pub(crate) use listener::Listener;
