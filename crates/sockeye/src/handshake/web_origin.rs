//! The origin of a web page, as browsers write it in `Origin` (RFC 6454).

use crate::handshake::tls::Tls;

/// The parts of `scheme://host[:port]`.
pub(crate) struct WebOrigin<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> WebOrigin<'a> {
    pub(crate) fn parse(origin: &'a str) -> Option<Self> {
        let (scheme, authority) = origin.split_once("://")?;
        let (host, port) = split_authority(authority)?;
        (is_scheme(scheme) && !host.is_empty()).then_some(Self {
            scheme,
            host,
            port: port.or(default_port(scheme)),
        })
    }
}

/// Compares two origins; texts that aren't `scheme://host[:port]` are compared as they are.
pub(crate) fn is_same_origin(listed: &str, origin: &str) -> bool {
    match (WebOrigin::parse(listed), WebOrigin::parse(origin)) {
        (Some(listed), Some(origin)) => {
            listed.scheme.eq_ignore_ascii_case(origin.scheme)
                && listed.host.eq_ignore_ascii_case(origin.host)
                && listed.port == origin.port
        }
        _ => listed == origin,
    }
}

/// Returns whether a page of `origin` comes from the host that the request asked for, over TLS if the page
/// did.
pub(crate) fn is_at_host(origin: &str, host: &str, tls: Tls) -> bool {
    let (Some(origin), Some((host, port))) = (WebOrigin::parse(origin), split_authority(host))
    else {
        return false;
    };
    let host_port = port.or(match tls {
        Tls::Yes => Some(443),
        Tls::No => default_port(origin.scheme),
    });
    host.eq_ignore_ascii_case(origin.host) && host_port == origin.port && host_port.is_some()
}

/// Returns whether `scheme` is one by RFC 3986 section 3.1. Stricter: no digits, which no scheme of a web
/// page has.
fn is_scheme(scheme: &str) -> bool {
    !scheme.is_empty()
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || b"+-.".contains(&byte))
}

/// Splits an authority into host and port. Returns `None` if it is malformed or has a user name.
pub(crate) fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    let host_end = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(host_end);
    if host.contains(['/', '@', '?', '#']) {
        return None;
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some("") => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok()?)
        }
        _ => return None,
    };
    Some((host, port))
}

pub(crate) fn default_port(scheme: &str) -> Option<u16> {
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    match () {
        () if is("http") || is("ws") => Some(80),
        () if is("https") || is("wss") => Some(443),
        () => None,
    }
}
