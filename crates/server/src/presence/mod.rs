//! Presence in this server: its store, and how endpoints report clients.
//!
//! [`open`] makes one [`Presence`] from the configuration; `app` gives clones of it to:
//!
//! - [`Tracked`], which wraps an endpoint: the client that [`by_name`] found in the request is online while the session is
//!   open;
//! - endpoints that learn the client from messages (the chat's `uuid`): they call `presence.join(address, "chat")` and keep
//!   the [`DeviceGuard`](sockeye_hub::presence::DeviceGuard) ; the client is offline when its
//!   last guard is dropped. `join`, the drop and all queries never wait;
//! - the API ([`crate::api`]).
//!
//! ```text
//!   request ── client_id ──> Tracked ──┐
//!   chat message ── uuid ──> DeviceGuard  ──┴──> Presence ──> store: memory, DIR/presence.redb, Redis
//!                                               └──> /api/presence
//! ```

mod identity;
mod opening;
mod tracked;

pub(crate) use identity::by_name;
pub(crate) use opening::{open, open_channels};
pub(crate) use sockeye_hub::presence::Presence;
pub(crate) use tracked::Tracked;
