//! `sockeye serve` on a Unix socket, and `sockeye connect` to one.

mod support;

use std::{
    io::{Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::Path,
};

use support::{PATIENCE, Server, run_in, run_with_stdin};
use tempfile::TempDir;

/// Starts a server that listens at `a.sock` in its directory.
fn start(arguments: &[&str]) -> Server {
    Server::start(&[&["serve", "--listen", "unix:a.sock"], arguments].concat())
}

fn http(path: &Path, target: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_server_listens_on_a_unix_socket_with_the_mode_that_is_set_and_removes_it() {
    let server = start(&["--unix-mode", "0620"]);
    let path = server.directory.path().join("a.sock");
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o620);
    assert!(http(&path, "/health/live").ends_with("\r\n\r\nlive\n"));
    assert!(server.banner.contains("ws+unix:/"), "{}", server.banner);
    let shown = path.display().to_string();
    let url = format!("ws+unix:{shown}:/echo");
    let socket = ["--unix-socket", &shown];
    for (url, options) in [("ws://a.example/echo", &socket[..]), (url.as_str(), &[])] {
        let arguments = [
            &["connect", url, "--exit-after", "1", "--wait", "60s"],
            options,
        ]
        .concat();
        let client = run_with_stdin(&arguments, b"hi\n");
        assert_eq!(client.code, Some(0), "{}", client.stderr);
        assert_eq!(client.stdout, "hi\n");
    }
    // A second server doesn't take the socket of the first.
    let second = ["serve", "--listen", &format!("unix:{shown}")];
    let second = run_in(TempDir::new().unwrap().path(), &second, &[]);
    assert_eq!(second.code, Some(2));
    assert!(
        second.stderr.contains("another process listens there"),
        "{}",
        second.stderr
    );
    server.signal("TERM");
    let directory = TempDir::new().unwrap();
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!path.exists());
    drop(directory);
}

#[test]
fn a_server_takes_over_the_socket_of_one_that_was_killed() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.sock");
    let listen = format!("unix:{}", path.display());
    let killed = Server::start(&["serve", "--listen", &listen]);
    killed.signal("KILL");
    killed.wait();
    assert!(path.exists());
    let _next = Server::start(&["serve", "--listen", &listen]);
    assert!(http(&path, "/health/live").starts_with("HTTP/1.1 200 "));
}

#[test]
fn the_client_of_a_proxy_is_named_by_header_fields_on_a_unix_socket() {
    let server = start(&["--trusted-proxies", "unix:", "--log-connections", "on"]);
    let path = server.directory.path().join("a.sock");
    let path = path.to_str().unwrap();
    let field = ["-H", "X-Forwarded-For: 192.0.2.7"];
    let url = ["connect", "ws://a.example/echo", "--unix-socket", path];
    let client = run_with_stdin(
        &[&url[..], &field, &["--exit-after", "1"]].concat(),
        b"hi\n",
    );
    assert_eq!(client.code, Some(0), "{}", client.stderr);
    server.signal("TERM");
    let (_, log) = server.wait();
    assert!(log.contains("192.0.2.7"), "{log}");
}

#[test]
fn an_owner_that_nobody_knows_stops_the_start() {
    let listen = ["serve", "--listen", "unix:a.sock", "--unix-owner"];
    let directory = TempDir::new().unwrap();
    let run = run_in(
        directory.path(),
        &[&listen[..], &[":no-such-group"]].concat(),
        &[],
    );
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.contains("there is no group \"no-such-group\""),
        "{}",
        run.stderr
    );
    assert!(!directory.path().join("a.sock").exists());
}
