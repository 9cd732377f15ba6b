//! One connected client, whatever its transport.
//!
//! ```text
//!           first command: connect                    refused
//!   Opened ───────────────────────> Connecting ──────────────────> Refused: every further command ends it
//!     │ no command in time               │ credentials, server-side subscriptions
//!     v                                  v
//!   Closed <─────────────────────── Connected <──> commands, pings, expiry
//! ```
//!
//! A client's lock is taken before that of a shard, and never while a shard's is held. No function of the application and
//! no broker is called under either.

mod client;
mod command_queue;
mod connect;
mod execute;
mod expiry;
mod filters;
mod grant;
mod map_commands;
mod map_subscribe;
mod orders;
mod ping;
mod questions;
mod refresh;
mod room;
mod state;
mod subscribe;
mod subscriptions;
mod unsubscribe;

pub use client::{Client, ConnectionInfo};
pub(crate) use state::Failure;
pub(crate) use subscribe::Plan;
