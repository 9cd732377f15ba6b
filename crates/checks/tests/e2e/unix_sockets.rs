//! Other people's programs on a Unix socket of the server: curl, nginx, and Node's `ws`.

use sockeye_checks::{Process, ReverseProxy, Server, blocks_of_page, need};
use tempfile::TempDir;

use crate::conversation::{LIMIT, assert_closed, assert_echoed, facts};

/// A server on a Unix socket, and on a port as well, whose line tells that it has started.
fn server(arguments: &[&str]) -> Option<(Server, String, TempDir)> {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("a.sock").display().to_string();
    let listen = format!("127.0.0.1:0,unix:{path}");
    let server = Server::start_with(&[&["--listen", &listen], arguments].concat())?;
    Some((server, path, directory))
}

#[test]
fn curl_gets_a_page_from_a_unix_socket() {
    let Some(mut curl) = need::curl() else { return };
    let Some((_server, path, _directory)) = server(&[]) else {
        return;
    };
    curl.args(["--silent", "--show-error", "--fail", "--unix-socket", &path]);
    curl.arg("http://a.example/health/live");
    let ended = Process::start("curl", &mut curl, LIMIT).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    assert!(
        ended.transcript().contains("live"),
        "{}",
        ended.transcript()
    );
}

#[test]
fn nodes_ws_talks_to_a_unix_socket() {
    let Some(mut peer) = need::node("talk.mjs") else {
        return;
    };
    let Some((_server, path, _directory)) = server(&[]) else {
        return;
    };
    peer.arg(format!("ws+unix:{path}:/echo"))
        .args(["--with", "ws"]);
    let ended = Process::start("Node's ws", &mut peer, LIMIT).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let facts = facts(&ended);
    assert_echoed(&facts);
    assert_closed(&facts, 4001, "再见");
}

#[test]
fn nginx_passes_websockets_on_to_a_unix_socket_and_names_the_client() {
    let trusting = [
        "--trusted-proxies",
        "unix:",
        "--log-filter",
        "sockeye=debug",
    ];
    let Some((mut server, path, _directory)) = server(&trusting) else {
        return;
    };
    let config = blocks_of_page("nginx.md", "nginx").concat();
    let Some(proxy) = ReverseProxy::nginx(&config, format!("unix:{path}")) else {
        return;
    };
    let Some(mut client) = sockeye_checks::sockeye("connect", &[]) else {
        return;
    };
    client.arg(format!("ws://{}/echo", proxy.addr()));
    client.args(["--no-proxy", "--exit-after", "1", "--wait", "60s"]);
    let mut client = Process::start("sockeye connect", &mut client, LIMIT);
    client.write_line("both ways");
    let ended = client.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let line = server.process().wait_for_text("client_addr=");
    assert!(line.contains("client_addr=127.0.0.1 "), "{line}");
}
