//! Who is here.
//!
//! A client is here while it has at least one device here: a tab, a phone, whatever holds a [`DeviceGuard`]. The
//! first device that comes and the last one that goes are the edges that others hear of ([`Change`]). Of those
//! who are away the time is kept at which they were last seen.
//!
//! ```text
//!                 first device (here or on another node)
//!          ┌──────────────────────────────────────────────> ┐
//!        away                                              here ──┐ more devices
//!          └ <──────────────────────────────────────────────┘ <───┘ come and go
//!                 last device has gone, or its node is dead
//! ```
//!
//! Questions are answered from memory and never wait. A [`Store`] keeps what has to outlive the process and
//! tells what other nodes know:
//!
//! | store | after a restart | several nodes | when it fails |
//! |---|---|---|---|
//! | [`Memory`] | nothing is known | no | it can't |
//! | [`Durable`] | nobody is here, last-seen times stay | no | times of the outage are written when it is over |
//! | [`Redis`] | the same, from the others | yes | this node's clients alone are seen until it is back |

mod change;
mod device_guard;
mod durable;
mod handle;
mod last_seen;
mod limits;
mod memory;
mod redis;
mod registry;
mod status;
mod store;
mod store_task;

pub use change::{Change, Changes, Update};
pub use device_guard::DeviceGuard;
pub use durable::Durable;
pub use handle::Presence;
pub use limits::Limits;
pub use memory::Memory;
pub use redis::Redis;
pub use status::{Device, Listed, Page, Status};
pub use store::{Batch, ClientRecord, ClientState, SaveTiming, Store, StoreEvent};
