//! The parts of the welcome page.

use crate::page::{Page, Sources};

/// Builds the page. It has the limits of messages in the room and on /echo, so that it can refuse larger files before it sends
/// them.
pub(crate) fn page(message_bytes_max: usize, echo_message_bytes_max: usize) -> Page {
    let filled = [
        ("message-bytes-max", message_bytes_max.to_string()),
        ("echo-message-bytes-max", echo_message_bytes_max.to_string()),
    ];
    Page::join(
        SOURCES,
        &filled
            .each_ref()
            .map(|(name, value)| (*name, value.as_str())),
    )
}

pub(crate) const SOURCES: Sources = Sources {
    html: include_str!("page.html"),
    style: include_str!("page.css"),
    texts: include_str!("texts.js"),
    script: include_str!("page.js"),
};
