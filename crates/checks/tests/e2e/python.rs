//! Python's `websockets` and Tornado on both sides. The first asks for the smallest windows, which Node does not;
//! the second ignores parameters that the others obey.

use serde_json::Value;
use sockeye_checks::{Certificate, Server, need};

use crate::conversation::{Deflate, peer_dials, peer_listens, the};

#[test]
fn websockets_talks_to_the_server() {
    let Some(peer) = need::python("talk.py") else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let facts = peer_dials(peer, server, &[], Deflate::Off);
    assert_eq!(the(&facts, "pong")["text"], "are you there?");
}

#[test]
fn websockets_talks_to_the_server_with_deflate() {
    let Some(peer) = need::python("talk.py") else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let facts = peer_dials(peer, server, &[], Deflate::On);
    let extensions = extensions(&facts);
    assert!(
        extensions.contains("server_max_window_bits=9"),
        "{extensions}"
    );
}

#[test]
fn websockets_talks_to_the_server_over_tls() {
    let Some(peer) = need::python("talk.py") else {
        return;
    };
    let certificate = Certificate::new();
    let (chain, key) = (certificate.chain(), certificate.key());
    let Some(server) = Server::start(&["--tls-cert", &chain, "--tls-key", &key]) else {
        return;
    };
    peer_dials(peer, server, &["--root", &chain], Deflate::On);
}

#[test]
fn the_client_talks_to_websockets() {
    let Some(peer) = need::python("serve.py") else {
        return;
    };
    let listens = peer_listens(
        peer,
        &[],
        "/feed?room=1",
        &["--header", "X-Colour: silver"],
        Deflate::Off,
    );
    let Some((facts, _)) = listens else { return };
    assert_eq!(the(&facts, "open")["path"], "/feed?room=1");
    assert_eq!(the(&facts, "open")["headers"]["x-colour"], "silver");
}

#[test]
fn the_client_talks_to_websockets_with_deflate() {
    let Some(peer) = need::python("serve.py") else {
        return;
    };
    peer_listens(peer, &[], "/", &[], Deflate::On);
}

#[test]
fn the_client_talks_to_websockets_over_tls() {
    let Some(peer) = need::python("serve.py") else {
        return;
    };
    let certificate = Certificate::new();
    let (chain, key) = (certificate.chain(), certificate.key());
    let arguments = ["--certificate", &chain, "--key", &key];
    peer_listens(peer, &arguments, "/", &["--cacert", &chain], Deflate::On);
}

#[test]
fn tornado_talks_to_the_server_with_deflate() {
    let Some(peer) = need::python("talk_tornado.py") else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let facts = peer_dials(peer, server, &[], Deflate::On);
    let extensions = extensions(&facts);
    // It ignores the first parameter, and obeys the second.
    assert!(
        !extensions.contains("client_no_context_takeover")
            && extensions.contains("client_max_window_bits=12"),
        "{extensions}"
    );
}

#[test]
fn the_client_talks_to_tornado_with_deflate() {
    let Some(peer) = need::python("serve_tornado.py") else {
        return;
    };
    let listens = peer_listens(peer, &[], "/", &[], Deflate::On);
    let Some((facts, _)) = listens else { return };
    let extensions = extensions(&facts);
    assert!(
        !extensions.contains("server_no_context_takeover"),
        "{extensions}"
    );
}

/// Returns what was agreed on, as the peer sees it.
fn extensions(facts: &[Value]) -> &str {
    the(facts, "open")["extensions"]
        .as_str()
        .unwrap_or_default()
}
