//! Paths that the configuration gives: no two may be one.

use super::{Config, Switch};

/// Checks the paths that are served.
///
/// # Errors
/// One line that begins with the key.
pub(super) fn check(config: &Config) -> Result<(), String> {
    let on = |switch: Switch| switch == Switch::On;
    let transports = &config.transports;
    let websockets = [
        (
            !on(transports.websocket.disabled),
            "websocket",
            &transports.websocket.handler_prefix,
        ),
        (
            on(transports.uni_websocket.enabled),
            "uni_websocket",
            &transports.uni_websocket.handler_prefix,
        ),
    ];
    let plain = [
        (
            on(transports.http_stream.enabled),
            "http_stream",
            &transports.http_stream.handler_prefix,
        ),
        (
            on(transports.sse.enabled),
            "sse",
            &transports.sse.handler_prefix,
        ),
        (
            on(transports.uni_sse.enabled),
            "uni_sse",
            &transports.uni_sse.handler_prefix,
        ),
        (
            on(emulation(config)),
            "emulation",
            &transports.emulation.handler_prefix,
        ),
        (
            on(config.prometheus.enabled),
            "prometheus",
            &config.prometheus.handler_prefix,
        ),
    ];
    for (sections, taken) in [
        (&websockets[..], &TAKEN_BY_WEBSOCKETS[..]),
        (&plain[..], &TAKEN[..]),
    ] {
        let served: Vec<_> = sections
            .iter()
            .filter(|(is_served, ..)| *is_served)
            .collect();
        for (at, (_, section, path)) in served.iter().enumerate() {
            let is_taken = |root: &&str| {
                let rest = path.0.strip_prefix(*root);
                rest.is_some_and(|rest| rest.is_empty() || *root != "/" && rest.starts_with('/'))
            };
            if let Some(root) = taken.iter().find(|root| is_taken(root)) {
                return Err(format!(
                    "{section}.handler_prefix: {:?} is taken by the server itself ({root})",
                    path.0
                ));
            }
            let same = served[..at].iter().find(|(_, _, other)| other.0 == path.0);
            if let Some((_, other, _)) = same {
                return Err(format!(
                    "{section}.handler_prefix: {:?} is that of {other}.handler_prefix, too",
                    path.0
                ));
            }
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

/// Paths of plain HTTP that are always there, with all below them.
const TAKEN: [&str; 8] = [
    "/",
    "/api",
    "/chat",
    "/echo",
    "/favicon.ico",
    "/health",
    "/login",
    "/websocket/ws",
];

/// Paths of WebSockets that are always there.
const TAKEN_BY_WEBSOCKETS: [&str; 4] = ["/", "/echo", "/login", "/websocket/ws"];

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
