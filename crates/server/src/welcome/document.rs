//! The welcome page: its parts, and its answer.

use std::net::IpAddr;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue},
    response::Response,
};
use sockeye::RequestInfo;

use crate::page::{Page, Sources};

/// Builds the page. It has the limit of messages on /echo, so that it can refuse larger files before it sends them.
pub(crate) fn page(echo_message_bytes_max: usize, hub_path: &str, hub_access: HubAccess) -> Page {
    let access = match hub_access {
        HubAccess::Everybody => "dev",
        HubAccess::Anonymous => "anonymous",
        HubAccess::Token => "token",
    };
    let bytes_max = echo_message_bytes_max.to_string();
    Page::join(
        SOURCES,
        &[
            ("echo-message-bytes-max", bytes_max.as_str()),
            ("hub-path", hub_path),
            ("hub-access", access),
            ("version", env!("CARGO_PKG_VERSION")),
        ],
    )
}

/// What the page can do at the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HubAccess {
    /// Everything, as everybody (`--dev`, `client.insecure`). The page warns of it.
    Everybody,
    /// To connect without a token.
    Anonymous,
    /// Nothing, since it has no token.
    Token,
}

/// Answers a GET or HEAD. The page is isolated from other sites, so that browsers give it a clock of 5 µs and not of 100 µs to
/// measure round trips with.
pub(crate) fn respond(page: &Page, info: &RequestInfo, request: &HeaderMap) -> Response {
    let mut response = page.respond(request);
    // Elsewhere a browser ignores the fields, and complains about them on its console.
    if is_trustworthy(info) {
        for (name, value) in ISOLATED {
            let name = HeaderName::from_static(name);
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

/// Returns whether browsers take the page's origin for potentially trustworthy (W3C Secure Contexts section 3.1): https, and
/// this computer.
fn is_trustworthy(info: &RequestInfo) -> bool {
    let Some(host) = info.host() else {
        return info.is_secure();
    };
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        match port.bytes().all(|byte| byte.is_ascii_digit()) {
            true => name,
            false => host,
        }
    });
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = name.parse().is_ok_and(|addr: IpAddr| addr.is_loopback());
    info.is_secure() || is_loopback || name == "localhost" || name.ends_with(".localhost")
}

const ISOLATED: [(&str, &str); 2] = [
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
];

pub(crate) const SOURCES: Sources = Sources {
    html: include_str!("page.html"),
    style: include_str!("page.css"),
    texts: include_str!("texts.js"),
    script: concat!(
        include_str!("log.js"),
        include_str!("composer.js"),
        include_str!("panel.js"),
        include_str!("hub.js"),
        include_str!("page.js"),
    ),
    reachable: &["live", "panels"],
};
