//! A client that comes back: it dials again when its connection is lost, and says so.
//!
//! What it promises: whoever calls [`Reconnecting::next`] sees every connection begin and end; what is
//! sent while away waits in a bounded [`Queue`], in order, and what is given up from it is handed back
//! as an [`Event::Dropped`]; a server that says when to come back ([`Outage::retry_hint`]) is obeyed; and
//! the clients of a dead server don't come back all at once.
//!
//! What it doesn't promise: that a message arrives. What was handed to a connection that then died may
//! have come or not; it is never sent again by itself, so nothing comes twice (at most once). And
//! what the server sent while we were away is missed: ask for it after each [`Event::Connected`].
//!
//! ```text
//!   connect(url).reconnect(policy)
//!        │                          ┌───────── lost: Outage ─────────┐
//!        v                          v                                │
//!      supervisor ──> fresh request ──> dials ──> WebSocket ──> Event::Connected, Message … ──> next()
//!        ^             ^            │ fails       ^
//!        │             │            v             │ in order, before what is sent later
//!        │             └─ waits: Schedule      Queue <── Sender::send, while away
//!        └── Policy: gives up? ──> Event::Disconnected { retry_in: None }, and `None`
//! ```

mod backlog;
mod event;
mod outage;
mod policy;
mod queue;
mod reconnecting;
mod schedule;
mod sender;

pub use event::{Dropped, Event, Reason};
pub use outage::Outage;
pub use policy::Policy;
pub use queue::Queue;
pub use reconnecting::Reconnecting;
pub use sender::Sender;
pub use sockeye_proto::Backoff;

mod shared;
mod supervisor;
#[cfg(test)]
mod tests;
