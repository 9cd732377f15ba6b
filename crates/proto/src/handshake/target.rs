//! The request target (RFC 9112 section 3.2).

use alloc::{borrow::Cow, format};

use super::authority::is_authority;

/// The request target of a WebSocket handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The authority of an absolute-form target. RFC 9112 section 3.2.2: it replaces the `Host` field.
    pub authority: Option<&'a str>,
    /// Begins with `/` and has no fragment. It may have a `%` that encodes nothing, which the URL standard allows. A `"` in the
    /// query is encoded, because some parsers refuse it.
    pub path_and_query: Cow<'a, str>,
}

impl<'a> Target<'a> {
    /// Reads origin-form (`/path?query`) and absolute-form (`http://host/path?query`).
    ///
    /// Returns `None` for the other two forms, which belong to `CONNECT` and `OPTIONS`, for a fragment, and for bytes that can't
    /// be in a URI.
    #[must_use]
    pub fn parse(target: &'a str) -> Option<Self> {
        if target.starts_with('/') {
            return is_path_and_query(target).then(|| Self {
                authority: None,
                path_and_query: without_quotes(Cow::Borrowed(target)),
            });
        }
        let (scheme, rest) = target.split_once("://")?;
        if !SCHEMES
            .iter()
            .any(|known| known.eq_ignore_ascii_case(scheme))
        {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path_and_query) = rest.split_at(end);
        let path_and_query = match path_and_query.as_bytes() {
            [b'/', ..] => Cow::Borrowed(path_and_query),
            // RFC 9110 section 4.2.3: an empty path is the same as "/".
            _ => Cow::Owned(format!("/{path_and_query}")),
        };
        (is_authority(authority) && is_path_and_query(&path_and_query)).then(|| Self {
            authority: Some(authority),
            path_and_query: without_quotes(path_and_query),
        })
    }
}

/// Returns whether `text` is a path and an optional query.
///
/// Beyond RFC 3986 sections 3.3 and 3.4 it may have the visible ASCII characters that browsers and other common clients send
/// unencoded, as the URL standard allows: above all a `%` that encodes nothing, which a page gets by `"?q=" + text`. Control
/// characters, space, `<`, `>`, `#` and bytes beyond ASCII are refused.
pub(super) fn is_path_and_query(text: &str) -> bool {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    path.starts_with('/') && path.bytes().all(is_path_byte) && query.bytes().all(is_query_byte)
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%|[]^\"{}".contains(&byte)
}

fn is_query_byte(byte: u8) -> bool {
    is_path_byte(byte) || b"?\\`".contains(&byte)
}

/// Returns the text with `%22` in place of each `"` of the query.
fn without_quotes(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.split_once('?') {
        Some((path, query)) if query.contains('"') => {
            Cow::Owned(format!("{path}?{}", query.replace('"', "%22")))
        }
        _ => text,
    }
}

/// A proxy may send any of these: RFC 6455 section 3 maps `ws` to `http`, and `wss` to `https`.
const SCHEMES: [&str; 4] = ["http", "https", "ws", "wss"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_form_is_taken_as_it_is() {
        for target in [
            "/",
            "/a/b?c=d&e",
            "/%20",
            "/?a?b",
            "/a|b",
            "/?q={}",
            "//a",
            "/\"{}",
        ] {
            let parsed = Target::parse(target).unwrap();
            assert_eq!(parsed.path_and_query, target);
            assert_eq!(parsed.authority, None);
        }
    }

    #[test]
    fn percent_that_encodes_nothing_is_taken_as_it_is() {
        for target in ["/%", "/a%4", "/%zz", "/?50%", "/?q=%zz&r=%u4e2d", "/%%?%%%"] {
            let parsed = Target::parse(target).unwrap();
            assert_eq!(parsed.path_and_query, target);
        }
    }

    #[test]
    fn quotes_of_a_query_are_encoded() {
        let parsed = Target::parse("/\"a\"?q={\"a\":1}").unwrap();
        assert_eq!(parsed.path_and_query, "/\"a\"?q={%22a%22:1}");
    }

    #[test]
    fn absolute_form_is_split() {
        for (target, authority, path_and_query) in [
            ("http://a.b/c?d", "a.b", "/c?d"),
            ("WS://a:80", "a:80", "/"),
            ("https://[::1]:1?x", "[::1]:1", "/?x"),
        ] {
            let parsed = Target::parse(target).unwrap();
            assert_eq!(parsed.authority, Some(authority));
            assert_eq!(parsed.path_and_query, path_and_query);
        }
    }

    #[test]
    fn other_forms_and_broken_ones_are_refused() {
        for target in [
            "",
            "*",
            "a",
            "example.com:80",
            "/a#b",
            "/<",
            "/?<",
            "/?>",
            "/\\",
            "/`",
            "/é",
            "/a b",
            "ftp://a/",
            "http:///a",
            "http://u@a/",
            "http://a/#b",
            "http://a#b",
            "http:/a",
            "/\u{7f}",
        ] {
            assert_eq!(Target::parse(target), None, "{target}");
        }
    }
}
