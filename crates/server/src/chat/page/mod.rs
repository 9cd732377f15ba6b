//! The chat's page: what a person uses who doesn't write one of their own.

mod document;

#[cfg(test)]
pub(crate) use document::SOURCES;
pub(crate) use document::page;
