//! The pages: the browser's, which shows the code, and the phone's, which says yes or no.

mod document;

#[cfg(test)]
pub(crate) use document::sources;
pub(crate) use document::{confirm_page, login_page};
