//! Node.js: npm `ws` on both sides, and Node's own WebSocket, which is a browser's.

use sockeye_checks::{Certificate, Process, Server, need};

use crate::conversation::{
    Deflate, LIMIT, assert_closed, assert_echoed, facts, peer_dials, peer_listens, the,
};

#[test]
fn ws_talks_to_the_server() {
    let Some(peer) = need::node("talk.mjs") else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let facts = peer_dials(peer, server, &["--with", "ws"], Deflate::Off);
    assert_eq!(the(&facts, "pong")["text"], "are you there?");
}

#[test]
fn ws_talks_to_the_server_with_deflate() {
    let Some(peer) = need::node("talk.mjs") else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    peer_dials(peer, server, &["--with", "ws"], Deflate::On);
}

#[test]
fn ws_talks_to_the_server_over_tls() {
    let Some(peer) = need::node("talk.mjs") else {
        return;
    };
    let certificate = Certificate::new();
    let (chain, key) = (certificate.chain(), certificate.key());
    let Some(server) = Server::start(&["--tls-cert", &chain, "--tls-key", &key]) else {
        return;
    };
    peer_dials(
        peer,
        server,
        &["--with", "ws", "--root", &chain],
        Deflate::On,
    );
}

#[test]
fn nodes_own_websocket_talks_to_the_server() {
    let Some(mut peer) = need::node("talk.mjs") else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    peer.arg(server.url("/echo")).args(["--with", "own"]);
    let ended = Process::start("Node's own WebSocket", &mut peer, LIMIT).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let facts = facts(&ended);
    assert_echoed(&facts);
    assert_closed(&facts, 4001, "再见");
    assert_eq!(the(&facts, "closed")["clean"], true);
}

#[test]
fn the_client_talks_to_ws() {
    let Some(peer) = need::node("serve.mjs") else {
        return;
    };
    let arguments = [
        "--subprotocol",
        "v2",
        "--subprotocol",
        "v1",
        "--header",
        "X-Colour: silver",
    ];
    let Some((facts, _)) = peer_listens(peer, &[], "/feed?room=1", &arguments, Deflate::Off) else {
        return;
    };
    let open = the(&facts, "open");
    assert_eq!(open["protocol"], "v2");
    assert_eq!(open["path"], "/feed?room=1");
    assert_eq!(open["headers"]["x-colour"], "silver");
}

#[test]
fn the_client_talks_to_ws_with_deflate() {
    let Some(peer) = need::node("serve.mjs") else {
        return;
    };
    peer_listens(peer, &[], "/", &[], Deflate::On);
}

#[test]
fn the_client_talks_to_ws_over_tls() {
    let Some(peer) = need::node("serve.mjs") else {
        return;
    };
    let certificate = Certificate::new();
    let (chain, key) = (certificate.chain(), certificate.key());
    let arguments = ["--certificate", &chain, "--key", &key];
    peer_listens(peer, &arguments, "/", &["--insecure"], Deflate::On);
}
