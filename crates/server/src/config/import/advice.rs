//! What to do about settings that have no counterpart.

/// What to do about a setting, or about all below it.
pub(super) struct Advice {
    /// Its path. `*` is one name, as in `channel.*.delta_publish`.
    path: &'static str,
    pub(super) text: &'static str,
}

/// Returns the path at which a setting is reported, and what to do about it. The settings of one feature are reported
/// once.
pub(super) fn of(path: &str) -> (String, &'static str) {
    let names: Vec<&str> = path.split('.').collect();
    let matching = ADVICE
        .iter()
        .filter(|advice| is_prefix(advice.path, &names));
    // The longest path is the most specific.
    let nearest = matching.max_by_key(|advice| advice.path.split('.').count());
    match nearest {
        Some(advice) => {
            let count = advice.path.split('.').count();
            (names[..count].join("."), advice.text)
        }
        None => (path.to_owned(), "Sockeye has no such option"),
    }
}

fn is_prefix(pattern: &str, names: &[&str]) -> bool {
    let pattern: Vec<&str> = pattern.split('.').collect();
    pattern.len() <= names.len()
        && pattern
            .iter()
            .zip(names)
            .all(|(expected, name)| *expected == "*" || expected == name)
}

/// Returns whether Centrifugo does the same without the setting.
pub(super) fn is_default(path: &str, value: &serde_json::Value) -> bool {
    let text = match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let names: Vec<&str> = path.split('.').collect();
    DEFAULTS.iter().any(|(pattern, default)| {
        pattern.split('.').count() == names.len() && is_prefix(pattern, &names) && *default == text
    })
}

/// Returns whether the settings of this feature mean nothing unless its `enabled` is true.
pub(super) fn is_optional(path: &str) -> bool {
    OPTIONAL.contains(&path)
}

/// Returns whether a section is only read when another setting says so, which is reported itself.
pub(super) fn is_detail(path: &str) -> bool {
    DETAILS.contains(&path)
}

const ONE_PROCESS: &str =
    "publications and presence of channels are kept in the memory of one process";

const ONLY_HTTP: &str = "there is no GRPC; hooks are asked over HTTP";

const DEFLATE: &str =
    "use deflate, which is on: clients that offer permessage-deflate get compressed messages";

const BUFFERS: &str = "not needed: buffers belong to threads, not to connections";

const ADVICE: &[Advice] = &[
    Advice {
        path: "engine",
        text: ONE_PROCESS,
    },
    Advice {
        path: "broker",
        text: ONE_PROCESS,
    },
    Advice {
        path: "presence_manager",
        text: ONE_PROCESS,
    },
    Advice {
        path: "controller",
        text: ONE_PROCESS,
    },
    Advice {
        path: "map_broker",
        text: "maps are kept in the memory of one process; with --data they survive it",
    },
    Advice {
        path: "shared_poll",
        text: "there are no shared poll subscriptions",
    },
    Advice {
        path: "admin",
        text: "there is no admin page; POST /api and the log say what it would show",
    },
    Advice {
        path: "grpc_api",
        text: "there is no GRPC API; use POST /api",
    },
    Advice {
        path: "uni_grpc",
        text: "there is no GRPC; use a WebSocket",
    },
    Advice {
        path: "webtransport",
        text: "there is no WebTransport; the SDK of JavaScript falls back to a WebSocket",
    },
    Advice {
        path: "health",
        text: "always on: probe /health/live and /health/ready in place of /health",
    },
    Advice {
        path: "swagger",
        text: "there is no page for the API",
    },
    Advice {
        path: "debug",
        text: "there are no profiling endpoints; use perf",
    },
    Advice {
        path: "graphite",
        text: "there is no export to Graphite",
    },
    Advice {
        path: "opentelemetry",
        text: "there is no OpenTelemetry",
    },
    Advice {
        path: "consumers",
        text: "there are no consumers; let a worker read the queue and POST to /api",
    },
    Advice {
        path: "pid_file",
        text: "use the supervisor's, such as systemd's",
    },
    Advice {
        path: "log.file",
        text: "the log goes to stderr; redirect it",
    },
    Advice {
        path: "http_server.internal_address",
        text: "there is one address for all; keep /api from outside at the proxy",
    },
    Advice {
        path: "http_server.internal_port",
        text: "there is one port for all; keep /api from outside at the proxy",
    },
    Advice {
        path: "http_server.internal_tls",
        text: "there is one address for all, with the certificate of [tls]",
    },
    Advice {
        path: "http_server.tls",
        text: "tls.cert and tls.key name files; other options of TLS have no counterpart",
    },
    Advice {
        path: "http_server.tls_autocert",
        text: "get the certificate with an ACME client, name it in tls.cert and tls.key, and send SIGHUP when it is renewed",
    },
    Advice {
        path: "http_server.http3",
        text: "there is no HTTP/3",
    },
    Advice {
        path: "http_server.h2c_external",
        text: "HTTP/2 without TLS is always accepted",
    },
    Advice {
        path: "http_api.disabled",
        text: "the API is always there, and always needs its key",
    },
    Advice {
        path: "http_api.external",
        text: "there is one address for all",
    },
    Advice {
        path: "channel.proxy.subscribe_stream",
        text: "there are no proxy streams; POST /api/publish",
    },
    Advice {
        path: "channel.proxy.shared_poll_refresh",
        text: "there are no shared poll subscriptions",
    },
    Advice {
        path: "*.*.*.grpc",
        text: ONLY_HTTP,
    },
    Advice {
        path: "*.*.*.grpc_metadata",
        text: ONLY_HTTP,
    },
    Advice {
        path: "*.*.grpc",
        text: ONLY_HTTP,
    },
    Advice {
        path: "*.*.grpc_metadata",
        text: ONLY_HTTP,
    },
    Advice {
        path: "*.grpc",
        text: ONLY_HTTP,
    },
    Advice {
        path: "*.grpc_metadata",
        text: ONLY_HTTP,
    },
    Advice {
        path: "rpc.ping",
        text: "there is no such procedure; the hook of rpc can answer it",
    },
    Advice {
        path: "client.token.insecure_skip_jwks_endpoint_safety_check",
        text: "URLs of keys have no placeholders, so there is nothing to check",
    },
    Advice {
        path: "client.subscription_token.insecure_skip_jwks_endpoint_safety_check",
        text: "URLs of keys have no placeholders, so there is nothing to check",
    },
    Advice {
        path: "client.token.audience_regex",
        text: "audience is one fixed text",
    },
    Advice {
        path: "client.token.issuer_regex",
        text: "issuer is one fixed text",
    },
    Advice {
        path: "client.subscription_token.audience_regex",
        text: "audience is one fixed text",
    },
    Advice {
        path: "client.subscription_token.issuer_regex",
        text: "issuer is one fixed text",
    },
    Advice {
        path: "client.allowed_origins",
        text: "pages of the same host can connect, others can't",
    },
    Advice {
        path: "client.insecure_skip_token_signature_verify",
        text: "signatures are always checked",
    },
    Advice {
        path: "client.user_id_http_header",
        text: "a header of a proxy is no identity; give connections a token",
    },
    Advice {
        path: "client.connection_limit",
        text: "use limits.connections_max",
    },
    Advice {
        path: "client.connection_rate_limit",
        text: "use limits.address_handshakes_per_second, which is for each client address",
    },
    Advice {
        path: "client.connect_code_to_unidirectional_disconnect",
        text: "codes are not changed for unidirectional clients",
    },
    Advice {
        path: "websocket.write_timeout",
        text: "use limits.progress_timeout",
    },
    Advice {
        path: "websocket.decompressed_message_size_limit",
        text: "the limit of messages counts after decompression",
    },
    Advice {
        path: "prometheus.instrument_http_handlers",
        text: "statuses of HTTP are not counted",
    },
    Advice {
        path: "prometheus.recovered_publications_histogram",
        text: "recoveries are counted, their publications are not",
    },
    Advice {
        path: "prometheus.native_histograms",
        text: "histograms have buckets",
    },
    Advice {
        path: "uni_websocket.write_timeout",
        text: "use limits.progress_timeout",
    },
    Advice {
        path: "uni_websocket.decompressed_message_size_limit",
        text: "the limit of messages counts after decompression",
    },
    Advice {
        path: "uni_sse.connect_code_to_http_response",
        text: "a client that may not connect is told so by a push, in a response with status 200",
    },
    Advice {
        path: "uni_http_stream",
        text: "there is no such transport; use /connection/uni_sse",
    },
    Advice {
        path: "http_api.handler_prefix",
        text: "the API is at /api",
    },
    Advice {
        path: "http_api.error_mode",
        text: "a back end asks for it with the header field X-Centrifugo-Error-Mode of a request",
    },
    Advice {
        path: "http_server.tls_external",
        text: "there is one address for all, with the certificate of [tls]",
    },
    Advice {
        path: "websocket.compression_min_size",
        text: DEFLATE,
    },
    Advice {
        path: "websocket.compression_level",
        text: DEFLATE,
    },
    Advice {
        path: "websocket.read_buffer_size",
        text: BUFFERS,
    },
    Advice {
        path: "websocket.write_buffer_size",
        text: BUFFERS,
    },
    Advice {
        path: "websocket.use_write_buffer_pool",
        text: BUFFERS,
    },
    Advice {
        path: "uni_websocket.compression",
        text: DEFLATE,
    },
    Advice {
        path: "uni_websocket.compression_min_size",
        text: DEFLATE,
    },
    Advice {
        path: "uni_websocket.compression_level",
        text: DEFLATE,
    },
    Advice {
        path: "uni_websocket.read_buffer_size",
        text: BUFFERS,
    },
    Advice {
        path: "uni_websocket.write_buffer_size",
        text: BUFFERS,
    },
    Advice {
        path: "uni_websocket.use_write_buffer_pool",
        text: BUFFERS,
    },
    Advice {
        path: "uni_websocket.disable_closing_handshake",
        text: "the closing handshake is always made",
    },
    Advice {
        path: "uni_websocket.disable_disconnect_push",
        text: "the code and the reason are always sent, in the Close frame",
    },
    Advice {
        path: "uni_websocket.join_push_messages",
        text: "pushes are joined where they were queued together",
    },
    Advice {
        path: "client.presence_update_interval",
        text: "not needed: presence is exact",
    },
    Advice {
        path: "client.channel_position_max_time_lag",
        text: "not needed: nothing lags in one process",
    },
    Advice {
        path: "usage_stats",
        text: "not needed: nothing is sent anywhere",
    },
    Advice {
        path: "node.name",
        text: "`info` says sockeye; tell servers apart by their address",
    },
    Advice {
        path: "node.info_metrics_aggregate_interval",
        text: "`info` has no metrics; see prometheus.enabled",
    },
    Advice {
        path: "init",
        text: "there is no such endpoint",
    },
    Advice {
        path: "channel.*.delta_publish",
        text: "not needed: every publication is sent as a difference to subscribers that ask for it",
    },
    Advice {
        path: "channel.*.shared_poll",
        text: "there are no shared poll subscriptions",
    },
    Advice {
        path: "channel.*.subscribe_stream_proxy_enabled",
        text: "there are no proxy streams; POST /api/publish",
    },
    Advice {
        path: "channel.*.subscribe_stream_proxy_name",
        text: "there are no proxy streams; POST /api/publish",
    },
    Advice {
        path: "channel.*.subscribe_stream_proxy_bidirectional",
        text: "there are no proxy streams; POST /api/publish",
    },
];

/// Values that Centrifugo has where nothing is set, for settings that have no counterpart.
const DEFAULTS: &[(&str, &str)] = &[
    ("engine.type", "memory"),
    ("map_broker.type", "memory"),
    ("websocket.compression_level", "1"),
    ("websocket.write_timeout", "1000ms"),
    ("websocket.write_timeout", "1s"),
    ("uni_websocket.compression", "true"),
    ("uni_websocket.compression_level", "1"),
    ("uni_websocket.write_timeout", "1s"),
    ("uni_websocket.write_timeout", "1000ms"),
    ("http_api.handler_prefix", "/api"),
    ("client.presence_update_interval", "27s"),
    ("channel.proxy.*.timeout", "1s"),
    ("channel.*.subscribe_stream_proxy_name", "default"),
    ("node.info_metrics_aggregate_interval", "60s"),
    ("node.info_metrics_aggregate_interval", "1m0s"),
    // Nothing is sent anywhere.
    ("usage_stats.disabled", "true"),
    // Compression is on by default, and clients choose.
    ("websocket.compression", "true"),
];

/// Features that are off unless `enabled` says otherwise.
const OPTIONAL: &[&str] = &[
    "admin",
    "broker",
    "presence_manager",
    "controller",
    "prometheus",
    "health",
    "swagger",
    "debug",
    "grpc_api",
    "uni_grpc",
    "graphite",
    "opentelemetry",
    "sse",
    "http_stream",
    "webtransport",
    "uni_sse",
    "uni_http_stream",
    "uni_websocket",
    "init",
    "http_server.tls",
    "http_server.tls_autocert",
    "http_server.internal_tls",
    "http_server.http3",
    "rpc.ping",
    "client.proxy.connect",
    "client.proxy.refresh",
    "client.connect_code_to_unidirectional_disconnect",
];

/// Sections that only mean something where `engine.type` or `map_broker.type` names them.
const DETAILS: &[&str] = &[
    "engine.redis",
    "engine.nats",
    "map_broker.redis",
    "map_broker.postgres",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_feature_is_reported_once_by_its_path() {
        assert_eq!(of("admin.password").0, "admin");
        assert_eq!(
            of("client.proxy.connect.grpc.compression").0,
            "client.proxy.connect.grpc"
        );
        assert_eq!(of("proxies[app].grpc.tls").0, "proxies[app].grpc");
        assert_eq!(
            of("channel.namespaces[chat].shared_poll.mode").0,
            "channel.namespaces[chat].shared_poll"
        );
        assert_eq!(of("log.file").0, "log.file");
        assert_eq!(
            of("node.names"),
            ("node.names".to_owned(), "Sockeye has no such option")
        );
    }

    #[test]
    fn what_centrifugo_does_anyway_is_known() {
        assert!(is_default("engine.type", &json!("memory")));
        assert!(!is_default("engine.type", &json!("redis")));
        assert!(is_default("websocket.compression_level", &json!(1)));
        assert!(is_default(
            "channel.without_namespace.subscribe_stream_proxy_name",
            &json!("default")
        ));
    }
}
