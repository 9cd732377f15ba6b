//! Presence: which clients are online.
//!
//! A client is online while it has at least one connected device: a tab, a phone, anything that holds a
//! [`DeviceGuard`]. A [`Change`] reports its first device that connects and its last one that disconnects. For offline
//! clients the last-seen time is kept.
//!
//! ```text
//!               first device connects (on this node or another)
//!           ┌───────────────────────────────────────────────────> ┐
//!        offline                                                online ──┐ more devices
//!           └ <───────────────────────────────────────────────────┘ <────┘ connect and disconnect
//!               last device disconnects, or its node dies
//! ```
//!
//! Queries are answered from memory and never wait. A [`Store`] saves what must outlive the process, and may exchange
//! the state with other nodes:
//!
//! | store | after a restart | several nodes | when it fails |
//! |---|---|---|---|
//! | [`Memory`] | nothing is known | no | it can't fail |
//! | [`Durable`] | all clients are offline, last-seen times are known | no | changes are saved when it works again |
//! | [`Redis`] | the same, and the clients of other nodes | yes | only this node's clients are known until it works again |
//!
//! [`ChannelPresence`] has who is subscribed to which channel of the hub, on all nodes that share a store.

mod change;
mod channel_presence;
mod device_guard;
mod durable;
mod handle;
mod last_seen;
mod limits;
mod memory;
mod redis;
mod registry;
mod shared;
mod status;
mod store;
mod store_task;

pub use change::{Change, Changes, Update};
pub use channel_presence::{CHANNEL_CLIENT_BYTES_MAX, ChannelPresence};
pub use device_guard::DeviceGuard;
pub use durable::Durable;
pub use handle::Presence;
pub use limits::Limits;
pub use memory::Memory;
pub use redis::Redis;
pub use status::{Device, Listed, Page, Status};
pub use store::{Batch, ClientRecord, ClientState, SaveTiming, Store, StoreEvent};
