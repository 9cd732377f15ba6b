//! The parts of both pages.

use crate::page::{Page, Sources};

/// The browser's.
pub(crate) fn login_page() -> Page {
    Page::join(sources()[0], &[])
}

/// The phone's.
pub(crate) fn confirm_page() -> Page {
    Page::join(sources()[1], &[])
}

pub(crate) fn sources() -> [Sources; 2] {
    let login = Sources {
        html: include_str!("login.html"),
        style: include_str!("login.css"),
        texts: include_str!("texts.js"),
        script: concat!(
            include_str!("../../page/stored.js"),
            include_str!("login.js")
        ),
        reachable: &[
            "HEARD",
            "expires",
            "isKnown",
            "isUnreachable",
            "retry",
            "show",
            "shown",
            "socket",
        ],
    };
    let confirm = Sources {
        html: include_str!("confirm.html"),
        script: include_str!("confirm.js"),
        reachable: &["complain", "expires", "show", "shown"],
        ..login
    };
    [login, confirm]
}
