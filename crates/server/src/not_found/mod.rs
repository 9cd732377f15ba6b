//! The answer for paths that have nothing.

mod document;
mod response;

#[cfg(test)]
pub(crate) use document::{SOURCES, page};
pub(crate) use response::NotFound;
