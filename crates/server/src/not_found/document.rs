//! The parts of the page.

use crate::page::{Page, Sources};

pub(crate) fn page() -> Page {
    Page::join(SOURCES, &[])
}

pub(crate) const SOURCES: Sources = Sources {
    html: include_str!("page.html"),
    style: include_str!("page.css"),
    texts: include_str!("texts.js"),
    script: include_str!("page.js"),
    reachable: &[],
};
