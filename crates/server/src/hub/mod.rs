//! The hub of this server: its channels, its clients, how they are reached, and who decides about them.

mod hooks;
mod hub;
pub(crate) mod json;
mod key_source;

pub(crate) use hub::{Hub, LOG_DIRECTORY, start};
pub(crate) use key_source::KeySource;
