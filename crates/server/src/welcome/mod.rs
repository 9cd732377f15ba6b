//! The welcome page and the icon.

mod document;
mod icon;

#[cfg(test)]
pub(crate) use document::SOURCES;
pub(crate) use document::{page, respond};
pub(crate) use icon::icon;
