//! Who is here, on this server: which store keeps it, and how endpoints tell.
//!
//! [`open`] makes one [`Presence`] from the configuration; `app` hands clones of it to whoever needs them:
//!
//! - an endpoint that doesn't care who comes is wrapped in [`Tracked`]: while the session is open, the client that
//!   [`by_name`] found in the request is here;
//! - an endpoint that learns from messages who talks (the chat's `uuid`) calls `presence.join(uuid, "chat")` by
//!   itself and keeps the [`DeviceGuard`](sockeye_hub::presence::DeviceGuard) in its own value: the client is away when the
//!   last guard of it is dropped. `join`, the drop and all queries never wait;
//! - the API answers from it ([`crate::api`]).
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
pub(crate) use opening::open;
pub(crate) use sockeye_hub::presence::Presence;
pub(crate) use tracked::Tracked;
