//! What a path below SockJS's own stands for.

/// What a path below SockJS's own stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'p> {
    Greeting,
    /// `/iframe….html`.
    IframePage,
    Info,
    /// `/websocket`, without any framing.
    RawWebSocket,
    /// `/{server}/{session}/{transport}`: the id of the session. The server's part is for load balancers.
    Session(&'p str, Transport),
}

/// The last part of a session's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    WebSocket,
    Xhr,
    XhrStreaming,
    XhrSend,
    EventSource,
    HtmlFile,
    Jsonp,
    JsonpSend,
}

impl<'p> Target<'p> {
    /// Parses what follows SockJS's own path. `None` if nothing is there.
    pub(super) fn parse(path: &'p str) -> Option<Self> {
        if path.is_empty() || path == "/" {
            return Some(Self::Greeting);
        }
        let path = path.strip_prefix('/')?;
        match path {
            "info" => return Some(Self::Info),
            "websocket" => return Some(Self::RawWebSocket),
            _ if is_iframe_page(path) => return Some(Self::IframePage),
            _ => {}
        }
        let mut segments = path.split('/');
        let (server, session, transport) = (segments.next()?, segments.next()?, segments.next()?);
        if segments.next().is_some() || !is_id(server) || !is_id(session) {
            return None;
        }
        let transport = match transport {
            "websocket" => Transport::WebSocket,
            "xhr" => Transport::Xhr,
            "xhr_streaming" => Transport::XhrStreaming,
            "xhr_send" => Transport::XhrSend,
            "eventsource" => Transport::EventSource,
            "htmlfile" => Transport::HtmlFile,
            "jsonp" => Transport::Jsonp,
            "jsonp_send" => Transport::JsonpSend,
            _ => return None,
        };
        Some(Self::Session(session, transport))
    }

    /// Returns the methods that it has, for `Allow`.
    pub(super) fn methods(&self) -> &'static str {
        match self {
            Self::Info => "OPTIONS, GET",
            Self::Session(_, Transport::Xhr | Transport::XhrStreaming | Transport::XhrSend) => {
                "OPTIONS, POST"
            }
            Self::Session(_, Transport::JsonpSend) => "POST",
            _ => "GET",
        }
    }

    /// Returns whether it has this method.
    pub(super) fn has_method(&self, method: &str) -> bool {
        self.methods().split(", ").any(|own| own == method)
    }
}

/// Returns whether a client may choose `segment` as an id.
pub(super) fn is_id(segment: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&segment.len()) && !segment.contains('.')
}

/// Returns whether `name` is `iframe….html`, with a version of the client between.
fn is_iframe_page(name: &str) -> bool {
    let version = name.strip_prefix("iframe");
    let version = version.and_then(|rest| rest.strip_suffix(".html"));
    version.is_some_and(|version| {
        let is_allowed = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'-' | b'.' | b'_');
        version.bytes().all(is_allowed)
    })
}

/// Bytes. The clients' ids have 8.
const ID_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_the_protocol_is_known() {
        for (path, target) in [
            ("", Target::Greeting),
            ("/", Target::Greeting),
            ("/info", Target::Info),
            ("/websocket", Target::RawWebSocket),
            ("/iframe.html", Target::IframePage),
            ("/iframe-0.1.2abc-dirty.2144.html", Target::IframePage),
            (
                "/000/a/websocket",
                Target::Session("a", Transport::WebSocket),
            ),
            ("/_/a%20b/xhr", Target::Session("a%20b", Transport::Xhr)),
            (
                "/1/a/xhr_streaming",
                Target::Session("a", Transport::XhrStreaming),
            ),
            ("/1/a/xhr_send", Target::Session("a", Transport::XhrSend)),
            (
                "/1/a/eventsource",
                Target::Session("a", Transport::EventSource),
            ),
            ("/1/a/htmlfile", Target::Session("a", Transport::HtmlFile)),
            ("/1/a/jsonp", Target::Session("a", Transport::Jsonp)),
            (
                "/1/a/jsonp_send",
                Target::Session("a", Transport::JsonpSend),
            ),
        ] {
            assert_eq!(Target::parse(path), Some(target), "{path}");
        }
    }

    #[test]
    fn nothing_else_is() {
        let long_id = format!("/1/{}/xhr", "x".repeat(129));
        for path in [
            "//",
            "///",
            "/a",
            "/a.html",
            "/a/",
            "/a/a",
            "/a/a/",
            "///xhr",
            "/a//xhr",
            "//a/xhr",
            "/a./a/xhr",
            "/a/a./xhr",
            "/./a/xhr",
            "/a/a/xhr/",
            "/a/a/a/xhr",
            "/a/a/XHR",
            "/a/a/chunking_test",
            "/iframe",
            "/iframe.htm",
            "/iframe.HTML",
            "/IFRAME.html",
            "/iframe-/.html",
            "/iframe-A.html",
            &long_id,
        ] {
            assert_eq!(Target::parse(path), None, "{path}");
        }
    }

    #[test]
    fn a_method_that_a_path_has_is_in_its_allow_field() {
        let xhr = Target::Session("a", Transport::Xhr);
        assert!(xhr.has_method("POST") && xhr.has_method("OPTIONS"));
        assert!(!xhr.has_method("GET") && !xhr.has_method("OPTIONS, POST"));
        assert!(Target::Greeting.has_method("GET") && !Target::Greeting.has_method("OPTIONS"));
    }
}
