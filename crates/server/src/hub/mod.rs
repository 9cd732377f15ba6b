//! The hub of this server: its channels, its clients, how they are reached, and who decides about them.

mod hooks;
mod hub;
pub(crate) mod json;
mod key_source;

pub(crate) use hub::{Hub, start};
pub(crate) use key_source::KeySource;
