//! Paths at which something is served: no two may collide.

use super::{Config, Switch};

/// Checks the paths that are served, those of the configuration beside those that are always there.
///
/// # Errors
/// One line that begins with the key, and names what else is at that path.
pub(super) fn check(config: &Config) -> Result<(), String> {
    let configured = configured(config);
    for (at, one) in configured.iter().enumerate() {
        if let Some(own) = OWN.iter().find(|own| one.collides_with(own)) {
            // The chat may take the place of an endpoint that is open to all.
            let replaces = one.name == CHAT_PATH && REPLACED_BY_CHAT.contains(&own.path);
            if !replaces {
                return Err(format!(
                    "{}: {:?} is taken by the server itself ({}, {})",
                    one.name, one.path, own.path, own.name
                ));
            }
        }
        let other = configured[..at].iter().find(|other| {
            // The chat can be told the same path twice.
            one.collides_with(other) && (one.name != CHAT_PATH || other.name != CHAT_PATH)
        });
        if let Some(other) = other {
            return Err(format!(
                "{}: {:?} is that of {}, too",
                one.name, one.path, other.name
            ));
        }
    }
    Ok(())
}

/// Whether clients send commands by requests of their own.
pub(super) fn emulation(config: &Config) -> Switch {
    match (
        config.transports.sse.enabled,
        config.transports.http_stream.enabled,
    ) {
        (Switch::Off, Switch::Off) => Switch::Off,
        _ => Switch::On,
    }
}

/// What is served at a path.
struct Served<'a> {
    /// The key that moves it, or what it is.
    name: &'a str,
    path: &'a str,
    by: By,
    extent: Extent,
}

/// What requests it answers. A WebSocket and plain HTTP can share a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    WebSocket,
    Http,
    Both,
}

/// How much it takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// The path alone.
    Path,
    /// The path, and all below it.
    Tree,
}

impl Served<'_> {
    fn collides_with(&self, other: &Served<'_>) -> bool {
        let same_requests = self.by == other.by || self.by == By::Both || other.by == By::Both;
        same_requests && (self.takes(other.path) || other.takes(self.path))
    }

    fn takes(&self, path: &str) -> bool {
        match (path.strip_prefix(self.path), self.extent) {
            (Some(rest), Extent::Tree) => rest.is_empty() || rest.starts_with('/'),
            (Some(rest), Extent::Path) => rest.is_empty(),
            (None, _) => false,
        }
    }
}

/// Returns what the configuration puts somewhere.
fn configured(config: &Config) -> Vec<Served<'_>> {
    let on = |switch: Switch| switch == Switch::On;
    let transports = &config.transports;
    let (websocket, uni_websocket) = (&transports.websocket, &transports.uni_websocket);
    let (http_stream, sse) = (&transports.http_stream, &transports.sse);
    let (uni_sse, prometheus) = (&transports.uni_sse, &config.prometheus);
    let chat = config
        .chat_path
        .iter()
        .map(|path| (true, CHAT_PATH, path, By::WebSocket));
    let others = [
        (
            !on(websocket.disabled),
            "websocket.handler_prefix",
            &websocket.handler_prefix,
            By::WebSocket,
        ),
        (
            on(uni_websocket.enabled),
            "uni_websocket.handler_prefix",
            &uni_websocket.handler_prefix,
            By::WebSocket,
        ),
        (
            on(http_stream.enabled),
            "http_stream.handler_prefix",
            &http_stream.handler_prefix,
            By::Http,
        ),
        (
            on(sse.enabled),
            "sse.handler_prefix",
            &sse.handler_prefix,
            By::Http,
        ),
        (
            on(uni_sse.enabled),
            "uni_sse.handler_prefix",
            &uni_sse.handler_prefix,
            By::Http,
        ),
        (
            on(emulation(config)),
            "emulation.handler_prefix",
            &transports.emulation.handler_prefix,
            By::Http,
        ),
        (
            on(prometheus.enabled),
            "prometheus.handler_prefix",
            &prometheus.handler_prefix,
            By::Http,
        ),
    ];
    let all = chat.chain(others).filter(|(is_served, ..)| *is_served);
    all.map(|(_, name, path, by)| Served {
        name,
        path: &path.0,
        by,
        extent: Extent::Path,
    })
    .collect()
}

/// The key of the chat's WebSockets.
const CHAT_PATH: &str = "chat.path";

/// The endpoints that a path of the chat replaces.
const REPLACED_BY_CHAT: [&str; 3] = ["/", "/echo", "/websocket/ws"];

/// The endpoints that SockJS reaches.
pub(crate) const SOCKJS_ECHO: &str = "/sockjs/echo";
pub(crate) const SOCKJS_ROOM: &str = "/sockjs/room";
pub(crate) const SOCKJS_CHAT: &str = "/sockjs/chat";
pub(crate) const SOCKJS_HUB: &str = "/connection/sockjs";

/// The hub by Socket.IO, where its clients look for it.
pub(crate) const SOCKETIO: &str = "/socket.io";

/// What is always there.
const OWN: [Served<'_>; 16] = [
    own("the echo", "/", By::WebSocket, Extent::Path),
    own("the echo", "/echo", By::Both, Extent::Path),
    own("the login", "/login", By::WebSocket, Extent::Tree),
    own("the room", "/websocket/ws", By::Both, Extent::Path),
    own("the welcome page", "/welcome", By::WebSocket, Extent::Tree),
    own("the welcome page", "/", By::Http, Extent::Path),
    own("the API", "/api", By::Http, Extent::Tree),
    own("the chat", "/chat", By::Http, Extent::Tree),
    own("the icon", "/favicon.ico", By::Http, Extent::Path),
    own("health", "/health", By::Http, Extent::Tree),
    own("the login", "/login", By::Http, Extent::Tree),
    own("SockJS", SOCKJS_ECHO, By::Both, Extent::Tree),
    own("SockJS", SOCKJS_ROOM, By::Both, Extent::Tree),
    own("SockJS", SOCKJS_CHAT, By::Both, Extent::Tree),
    own("SockJS", SOCKJS_HUB, By::Both, Extent::Tree),
    own("Socket.IO", SOCKETIO, By::Both, Extent::Tree),
];

const fn own<'a>(name: &'a str, path: &'a str, by: By, extent: Extent) -> Served<'a> {
    Served {
        name,
        path,
        by,
        extent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section;

    fn checked(pairs: &[(&str, &str)]) -> Result<(), String> {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(id, value)| ((*id).to_owned(), (*value).to_owned()))
            .collect();
        check(&section::read(&pairs).unwrap())
    }

    #[test]
    fn paths_that_are_served_are_different() {
        assert_eq!(checked(&[]), Ok(()));
        let error = checked(&[("sse_handler_prefix", "/connection/http_stream")]);
        assert_eq!(
            error.unwrap_err(),
            "sse.handler_prefix: \"/connection/http_stream\" is that of http_stream.handler_prefix, too"
        );
        // A WebSocket and plain HTTP can share a path, and what isn't served takes none.
        assert_eq!(
            checked(&[("sse_handler_prefix", "/connection/websocket")]),
            Ok(())
        );
        let off = [
            ("sse_handler_prefix", "/connection/http_stream"),
            ("http_stream_enabled", "off"),
        ];
        assert_eq!(checked(&off), Ok(()));
    }

    #[test]
    fn no_path_is_within_one_of_sockjs() {
        for (key, id) in [
            ("websocket", "websocket_handler_prefix"),
            ("sse", "sse_handler_prefix"),
            ("emulation", "emulation_handler_prefix"),
        ] {
            for (path, root) in [
                (SOCKJS_HUB, SOCKJS_HUB),
                ("/connection/sockjs/", SOCKJS_HUB),
                ("/sockjs/echo/websocket", SOCKJS_ECHO),
                ("/sockjs/room/1/2/xhr", SOCKJS_ROOM),
            ] {
                assert_eq!(
                    checked(&[(id, path)]).unwrap_err(),
                    format!(
                        "{key}.handler_prefix: {path:?} is taken by the server itself ({root}, SockJS)"
                    )
                );
            }
            assert_eq!(checked(&[(id, "/sockjs/other")]), Ok(()));
        }
    }

    #[test]
    fn the_chat_replaces_open_endpoints_and_nothing_else() {
        for free in ["/chat", "/", "/echo", "/websocket/ws", "/talk,/chat,/talk"] {
            assert_eq!(checked(&[("chat_path", free)]), Ok(()), "{free}");
        }
        for (taken, rest) in [
            (
                "/login/ws",
                "is taken by the server itself (/login, the login)",
            ),
            (
                "/welcome/ws",
                "is taken by the server itself (/welcome, the welcome page)",
            ),
            (
                "/sockjs/chat",
                "is taken by the server itself (/sockjs/chat, SockJS)",
            ),
            (
                "/socket.io/",
                "is taken by the server itself (/socket.io, Socket.IO)",
            ),
        ] {
            let error = checked(&[("chat_path", taken)]).unwrap_err();
            assert_eq!(error, format!("chat.path: {taken:?} {rest}"));
        }
        let error = checked(&[("chat_path", "/connection/websocket")]).unwrap_err();
        assert_eq!(
            error,
            "websocket.handler_prefix: \"/connection/websocket\" is that of chat.path, too"
        );
        // The chat's WebSocket is at /chat unless it is moved.
        let error = checked(&[("websocket_handler_prefix", "/chat")]).unwrap_err();
        assert_eq!(
            error,
            "websocket.handler_prefix: \"/chat\" is that of chat.path, too"
        );
    }

    #[test]
    fn paths_of_the_server_stay_its_own() {
        let on = ("prometheus_enabled", "on");
        for taken in ["/", "/api", "/api/metrics", "/health/live", "/login"] {
            let error = checked(&[on, ("prometheus_handler_prefix", taken)]).unwrap_err();
            assert!(error.starts_with("prometheus.handler_prefix: "), "{error}");
        }
        for free in ["/metrics", "/apis", "/inner/api"] {
            assert_eq!(checked(&[on, ("prometheus_handler_prefix", free)]), Ok(()));
        }
        let error = checked(&[("websocket_handler_prefix", "/echo")]).unwrap_err();
        assert!(error.starts_with("websocket.handler_prefix: "), "{error}");
    }

    #[test]
    fn commands_have_a_path_if_some_transport_needs_it() {
        let both = [("sse_enabled", "off"), ("http_stream_enabled", "off")];
        let with = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(id, value)| ((*id).to_owned(), (*value).to_owned()))
                .collect();
            emulation(&section::read(&pairs).unwrap())
        };
        assert_eq!(with(&both[..1]), Switch::On);
        assert_eq!(with(&both), Switch::Off);
    }
}
