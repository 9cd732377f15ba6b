//! The welcome page.

mod page;

pub(crate) use page::Page;
