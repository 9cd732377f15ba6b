//! A reconnecting client: it dials again when its connection is lost.
//!
//! What it promises:
//! - [`Reconnecting::next`] returns the begin and the end of every connection;
//! - what is sent without a connection waits in a bounded [`Queue`], in order, and what is dropped from it comes back as
//!   [`Event::Dropped`];
//! - the client obeys a server that says when to reconnect ([`Outage::retry_hint`]);
//! - the clients of a server that has failed don't reconnect all at once.
//!
//! What it doesn't promise:
//! - that a message arrives. The peer may or may not have received what was sent on a connection that then failed. The
//!   client never sends a message twice by itself (at most once).
//! - that the client receives what the server sends without a connection: ask for it after each [`Event::Connected`].
//!
//! ```text
//!   connect(url).reconnect(policy)
//!        │                          ┌───────── lost: Outage ─────────┐
//!        v                          v                                │
//!      supervisor ──> new request ──> dials ──> WebSocket ──> Event::Connected, Message … ──> next()
//!        ^             ^            │ fails       ^
//!        │             │            v             │ in order, before what is sent later
//!        │             └─ waits: Schedule      Queue <── Sender::send, without a connection
//!        └── Policy: gives up? ──> Event::Disconnected { retry_in: None }, and `None`
//! ```

mod event;
mod offline_queue;
mod outage;
mod policy;
mod queue;
mod reconnecting;
mod schedule;
mod sender;
mod shared;
mod supervisor;

pub use event::{Dropped, Event, Reason};
pub use outage::Outage;
pub use policy::Policy;
pub use queue::Queue;
pub use reconnecting::Reconnecting;
pub use sender::Sender;
pub use sockeye_proto::Backoff;

#[cfg(test)]
mod tests;
