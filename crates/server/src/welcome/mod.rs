//! The welcome page.

mod document;

#[cfg(test)]
pub(crate) use document::SOURCES;
pub(crate) use document::page;
