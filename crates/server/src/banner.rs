//! What the server prints when it has started: where it listens, what it serves, what to beware of.

use serde_json::json;
use sockeye::ServerHandle;

use crate::{
    api,
    config::{Config, LogFormat, SOCKJS_ECHO, Switch},
    log::Notices,
};

/// Prints the address of each listener and what it serves. Programs read these lines: `ws://HOST:PORT` has the chosen port.
pub(crate) fn print_served(config: &Config, key: &api::Key, server: &ServerHandle) {
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
    for warning in open_to_all(config) {
        text.push_str(&match json {
            true => Notices::served(warning, json!(null)),
            false => format!("  {warning}\n"),
        });
    }
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

/// Returns what to warn of if the hub asks nobody for a token, or the API nobody for a key.
pub(crate) fn open_to_all(config: &Config) -> impl Iterator<Item = &'static str> {
    let is_on = |switch: Switch| switch == Switch::On;
    let hub = match (is_on(config.dev), is_on(config.client.insecure)) {
        (true, _) => Some(DEV_WARNING),
        (false, true) => Some(INSECURE_WARNING),
        (false, false) => None,
    };
    let api = is_on(config.http_api_insecure).then_some(API_WARNING);
    hub.into_iter().chain(api)
}

const DEV_WARNING: &str = "--dev: everybody can connect, subscribe, publish, and read history and presence; for development only";

const API_WARNING: &str = "http_api.insecure: everybody can use /api; for development, or where a proxy keeps others from it";

const INSECURE_WARNING: &str = "client.insecure: everybody can connect, subscribe, publish, and read history and presence; for development only";

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
        (http, "/api/presence", "who is here, for whom has the key"),
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
    let mut served: Vec<_> = pages.into_iter().chain(endpoints).collect();
    served.extend(chats.iter().map(|path| (ws, *path, "chat")));
    served
}

/// Returns the paths of the chat's WebSocket.
pub(crate) fn chat_paths(config: &Config) -> Vec<&str> {
    let paths = config.chat_path.iter();
    paths.map(|path| path.0.as_str()).collect()
}
