//! Which clients of this node subscribe to which channels, and what each of them is due. Pure: it has no socket, no
//! clock, no lock and no task; its caller holds the lock and carries out the [`Effect`]s in their order.
//!
//! A subscriber passes these states:
//!
//! ```text
//!            begin                 release                     reached the channel's position
//!   (none) ────────> Held ───────────────────────> Alone ─────────────────────────────────────> Listed
//!                     │  publications are kept       │  publications are sent to it alone          │  one send for
//!                     │  until history was read      │                                             │  the whole list
//!                     │                              │  a publication is missing                   │
//!                     └──────────> Lost <────────────┴─────────────────────────────────────────────┘
//!                       too many            nothing more is sent to it; Effect::Insufficient asks to end it
//! ```
//!
//! A subscriber with delta compression stays alone until it has been given a publication: the list is sent differences from
//! the last one.
//!
//! A subscriber with a position receives each publication after that position once and in order, or is told that it
//! can't. The subscribers of a channel that receive the same bytes are one list (see [`Variant`]), so that a publication
//! is encoded and sent once for each list, not once for each subscriber.

mod channel;
mod effect;
mod held;
mod lag;
mod member;
mod recovery;
mod shard;
#[cfg(test)]
mod tests;
mod variant;

pub(crate) use effect::{Effect, Form, Item, ListId};
pub(crate) use held::Room;
pub(crate) use member::{Begun, ClientKey, Generation, NewSubscription, Removed};
pub(crate) use recovery::{Recovery, RecoveryRequest};
pub(crate) use shard::Shard;
pub(crate) use variant::Variant;
