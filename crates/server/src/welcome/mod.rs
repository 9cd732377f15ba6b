//! The welcome page, its WebSocket, and the icon.

mod document;
mod icon;
mod live;

#[cfg(test)]
pub(crate) use document::SOURCES;
pub(crate) use document::{HubAccess, page, respond};
pub(crate) use icon::icon;
pub(crate) use live::Live;
