//! What the server prints when it has started: where it listens, what it serves, what to beware of.

use std::path::Path;

use serde_json::json;
use sockeye::ServerHandle;

use crate::{
    api,
    config::{Config, LogFormat, SOCKETIO, SOCKJS_ECHO, Switch},
    log::Notices,
    socketio,
};

/// Prints the address of each listener and what it serves. Programs read these lines: `ws://HOST:PORT` has the chosen port.
pub(crate) fn print_served(
    config: &Config,
    file: Option<&Path>,
    key: &api::Key,
    server: &ServerHandle,
) {
    use std::io::Write as _;
    let ws = match config.tls_cert {
        Some(_) => "wss",
        None => "ws",
    };
    let version = env!("CARGO_PKG_VERSION");
    let json = config.log_format == LogFormat::Json;
    let mut text = match json {
        true => Notices::served("starting", json!({ "version": version })),
        false => format!("sockeye {version}\n"),
    };
    text.push_str(&file_line(config, file));
    if let Some(url) = &config.public_url {
        text.push_str(&served_line(
            config,
            &format!("{}/", url.0),
            "for browsers and phones",
        ));
    }
    for addr in server.local_addrs() {
        // A client can't connect to "every address".
        let host = match addr.ip() {
            ip if ip.is_unspecified() => format!("localhost:{}", addr.port()),
            _ => addr.to_string(),
        };
        for (scheme, path, what) in served(config) {
            let url = format!("{scheme}://{host}{path}");
            text.push_str(&served_line(config, &url, what));
        }
    }
    let unix_urls = server.unix_paths().iter();
    let unix_urls = unix_urls.map(|path| format!("{ws}+unix:{}:/", path.display()));
    text.extend(unix_urls.map(|url| served_line(config, &url, "the same paths on a Unix socket")));
    if let Some(key) = key.made() {
        text.push_str(&match json {
            true => Notices::served("key for /api, for this run", json!({ "key": key })),
            false => {
                format!(
                    "  key for /api, for this run: {key}  (--http-api-key sets one that stays)\n"
                )
            }
        });
    }
    let closed = hub_is_closed(config).then_some(HUB_IS_CLOSED);
    text.extend(closed.map(|closed| match json {
        true => Notices::served(closed, json!(null)),
        false => format!("  {closed}\n"),
    }));
    let last = "ctrl-C drains and stops, twice stops at once";
    text.push_str(&match json {
        true => Notices::served(last, json!(null)),
        false => format!("{last}\n"),
    });
    let mut stdout = std::io::stdout().lock();
    // A closed stdout doesn't stop the server.
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

fn served_line(config: &Config, url: &str, what: &str) -> String {
    match config.log_format {
        LogFormat::Json => Notices::served("serving", json!({ "url": url, "what": what })),
        LogFormat::Text => format!("  {url:<42} {what}\n"),
    }
}

/// Returns the line about the configuration file.
fn file_line(config: &Config, file: Option<&Path>) -> String {
    let name = file.map(|file| file.display().to_string());
    match (config.log_format, name) {
        (LogFormat::Json, name) => Notices::served("configuration", json!({ "file": name })),
        (LogFormat::Text, Some(name)) => format!("  configuration: {name}\n"),
        (LogFormat::Text, None) => {
            "  configuration: no file; there is no sockeye.toml here\n".to_owned()
        }
    }
}

/// Returns whether no client can connect to the hub, whatever it brings.
fn hub_is_closed(config: &Config) -> bool {
    let is_on = |switch: Switch| switch == Switch::On;
    let token = &config.token;
    let has_key = token.hmac_secret_key.is_some()
        || token.rsa_public_key.is_some()
        || token.ecdsa_public_key.is_some()
        || token.ed25519_public_key.is_some()
        || token.jwks_public_endpoint.is_some();
    let lets_in = is_on(config.dev)
        || is_on(config.client.insecure)
        || is_on(config.client.allow_anonymous_connect_without_token)
        || is_on(config.connect_proxy.enabled);
    !has_key && !lets_in
}

const HUB_IS_CLOSED: &str =
    "nobody can connect to the hub yet: set client.token.hmac_secret_key, or try it with --dev";

/// The path of Socket.IO as its clients have it.
const SOCKETIO_SHOWN: &str = "/socket.io/";

/// Returns what is served: scheme, path, and a few words.
fn served(config: &Config) -> Vec<(&'static str, &str, &'static str)> {
    let (http, ws) = match config.tls_cert {
        Some(_) => ("https", "wss"),
        None => ("http", "ws"),
    };
    let pages = [
        (http, "/", "welcome page"),
        (http, "/chat", "chat page"),
        (http, "/login", "log in by QR code"),
        (http, "/health/live", "answers while the server lives"),
        (http, "/health/ready", "and while it takes newcomers"),
        (
            http,
            "/api/publish",
            "for back ends with the key: publish to a channel of the hub",
        ),
        (
            http,
            "/api/presence",
            "for back ends with the key: who is here",
        ),
        (http, SOCKETIO_SHOWN, "hub, for clients of Socket.IO"),
        (
            http,
            SOCKJS_ECHO,
            "echo, by SockJS; also /sockjs/room and /sockjs/chat",
        ),
    ];
    let hub = config.transports.websocket.handler_prefix.0.as_str();
    let endpoints = [
        (ws, "/", "echo"),
        (ws, "/echo", "echo, text and binary"),
        (
            ws,
            "/websocket/ws",
            "broadcast room: what one sends, all get",
        ),
        (ws, hub, "hub, for Centrifugal clients"),
    ];
    let chats = chat_paths(config);
    let endpoints = endpoints
        .into_iter()
        .filter(|(_, path, _)| !chats.contains(path))
        .filter(|(_, path, _)| *path != hub || config.transports.websocket.disabled == Switch::Off);
    let pages = pages
        .into_iter()
        .filter(|(_, path, _)| *path != SOCKETIO_SHOWN || config.socketio.enabled == Switch::On);
    let mut served: Vec<_> = pages.chain(endpoints).collect();
    served.extend(chats.iter().map(|path| (ws, *path, "chat")));
    served
}

/// Returns the paths that would be there if a setting were another: each with the setting.
pub(crate) fn switched_off(config: &Config) -> Vec<(String, &'static str)> {
    let transports = &config.transports;
    let paths = [
        (
            config.prometheus.enabled,
            &config.prometheus.handler_prefix,
            "metrics are off: prometheus.enabled",
        ),
        (
            transports.sse.enabled,
            &transports.sse.handler_prefix,
            "server-sent events are off: sse.enabled",
        ),
        (
            transports.http_stream.enabled,
            &transports.http_stream.handler_prefix,
            "HTTP streams are off: http_stream.enabled",
        ),
        (
            transports.uni_sse.enabled,
            &transports.uni_sse.handler_prefix,
            "server-sent events for clients that only receive are off: uni_sse.enabled",
        ),
    ];
    let off = paths
        .into_iter()
        .filter(|(enabled, ..)| *enabled == Switch::Off);
    let off = off.map(|(_, path, text)| (path.0.clone(), text));
    match config.socketio.enabled {
        Switch::On => off.chain(socketio::script_paths()).collect(),
        Switch::Off => {
            let text = "Socket.IO is off: socketio.enabled";
            let paths = [SOCKETIO.to_owned(), format!("{SOCKETIO}/")];
            off.chain(paths.map(|path| (path, text))).collect()
        }
    }
}

/// Returns the paths of the chat's WebSocket.
pub(crate) fn chat_paths(config: &Config) -> Vec<&str> {
    let paths = config.chat_path.iter();
    paths.map(|path| path.0.as_str()).collect()
}
