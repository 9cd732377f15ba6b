//! The parts of the chat's page.

use crate::page::{Page, Sources};

/// `path` is where the chat's WebSocket is.
pub(crate) fn page(path: &str) -> Page {
    Page::join(SOURCES, &[("chat-path", path)])
}

pub(crate) const SOURCES: Sources = Sources {
    html: include_str!("page.html"),
    style: include_str!("page.css"),
    texts: include_str!("texts.js"),
    script: concat!(
        include_str!("conversation.js"),
        include_str!("../../page/stored.js"),
        include_str!("connection.js"),
        include_str!("view.js"),
        include_str!("page.js"),
    ),
    reachable: &[
        "HEARD",
        "changed",
        "complain",
        "conversations",
        "current",
        "forgetConversation",
        "isAtEnd",
        "link",
        "me",
        "open",
        "pending",
        "reads",
        "reason",
        "retry",
        "send",
        "state",
        "texts",
        "turnTo",
    ],
};
