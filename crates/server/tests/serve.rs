//! `sockeye serve` as its user sees it: what it prints, serves, refuses, and how it stops.

mod support;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    process::Stdio,
    time::{Duration, Instant},
};

use support::{Server, run, run_in, sockeye};
use tempfile::TempDir;

#[test]
fn start_prints_what_is_served_and_where() {
    let server = Server::start(&["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
    assert_eq!(server.addrs.len(), 2, "{}", server.banner);
    for addr in &server.addrs {
        assert!(
            !addr.ends_with(":0"),
            "the port that was chosen, not the one that was asked for"
        );
        for url in [
            format!("  http://{addr}/ "),
            format!("  ws://{addr}/ "),
            format!("  ws://{addr}/echo "),
            format!("  ws://{addr}/websocket/ws "),
        ] {
            assert!(
                server.banner.contains(&url),
                "{url} is missing in\n{}",
                server.banner
            );
        }
    }
}

#[test]
fn page_comes_with_a_strict_policy() {
    let server = Server::start(&[
        "--listen",
        "127.0.0.1:0",
        "--echo-message-bytes-max",
        "1KiB",
    ]);
    let page = server.http("GET / HTTP/1.1\r\n\r\n");
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    let field = |name: &str| {
        let line = head
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {head}"))
            .split_once(": ")
            .unwrap()
            .1
            .to_owned()
    };
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(field("content-type"), "text/html; charset=utf-8");
    assert_eq!(field("x-content-type-options"), "nosniff");
    assert_eq!(field("cache-control"), "no-cache");
    let policy = field("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'sha256-"),
        "{policy}"
    );
    assert!(policy.contains("connect-src 'self' ws: wss:"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(
        body.starts_with("<!doctype html>")
            && body.contains("data-echo-message-bytes-max=\"1024\"")
    );
    let again = server.http(&format!(
        "GET / HTTP/1.1\r\nIf-None-Match: {}\r\n\r\n",
        field("etag")
    ));
    assert!(again.starts_with("HTTP/1.1 304"), "{again}");
}

/// Offline.js asks so whether there is a network, by default with HEAD, or as an image.
#[test]
fn icon_is_an_image_for_everybody_and_never_out_of_a_cache() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    for request in ["GET", "HEAD"] {
        let answer = server.http(&format!("{request} /favicon.ico?_=1 HTTP/1.1\r\n\r\n"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        for field in [
            "content-type: image/svg+xml",
            "cache-control: no-store",
            "access-control-allow-origin: *",
        ] {
            assert!(head.contains(field), "{field} is missing in {head}");
        }
        assert_eq!(body.starts_with("<svg"), request == "GET");
    }
}

#[test]
fn paths_answer_as_the_list_says() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    for (request, status) in [
        ("GET /health/live HTTP/1.1\r\n\r\n", "200"),
        ("GET /health/ready HTTP/1.1\r\n\r\n", "200"),
        ("HEAD / HTTP/1.1\r\n\r\n", "200"),
        ("GET /nothing HTTP/1.1\r\n\r\n", "404"),
        ("GET /nothing HTTP/1.1\r\nAccept: text/html\r\n\r\n", "404"),
        ("GET /chat/ HTTP/1.1\r\n\r\n", "308"),
        ("GET /login/ HTTP/1.1\r\n\r\n", "308"),
        ("GET /echo HTTP/1.1\r\n\r\n", "426"),
        ("GET /websocket/ws HTTP/1.1\r\n\r\n", "426"),
        ("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "405"),
    ] {
        let response = server.http(request);
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}")),
            "{request}{response}"
        );
    }
}

#[test]
fn a_path_that_a_setting_switches_off_says_so() {
    let server = Server::start(&["--listen", "127.0.0.1:0", "--sse-enabled", "off"]);
    let banner = &server.banner;
    assert!(banner.contains("/api/publish "), "{banner}");
    for (path, text) in [
        ("/metrics", "metrics are off: prometheus.enabled"),
        ("/connection/sse", "server-sent events are off: sse.enabled"),
    ] {
        let answer = server.http(&format!("GET {path} HTTP/1.1\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        assert!(answer.ends_with(&format!("\r\n{text}\n")), "{answer}");
    }
}

#[test]
fn socketio_answers_at_its_path_and_says_why_its_script_is_not_there() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    for path in ["/socket.io/", "/socket.io"] {
        let answer = server.http(&format!(
            "GET {path}?EIO=4&transport=polling HTTP/1.1\r\n\r\n"
        ));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let open = r#""upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":65536}"#;
        assert!(answer.ends_with(open), "{answer}");
    }
    // Of Socket.IO 2 and older.
    let answer = server.http("GET /socket.io/?EIO=3&transport=polling HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains(r#""code":5"#), "{answer}");
    for name in ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js"] {
        let answer = server.http(&format!("GET /socket.io/{name} HTTP/1.1\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        assert!(
            answer.contains("doesn't serve the client's script"),
            "{answer}"
        );
    }
    let server = Server::start(&["--listen", "127.0.0.1:0", "--socketio-enabled", "off"]);
    let answer = server.http("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n\r\n");
    assert!(
        answer.ends_with("\r\nSocket.IO is off: socketio.enabled\n"),
        "{answer}"
    );
}

#[test]
fn port_in_use_is_one_line_and_exit_code_2() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let run = run(&["--listen", &addr]);
    assert_eq!(run.code, Some(2));
    assert!(run.stdout.is_empty());
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(
        run.stderr.contains(&addr) && run.stderr.contains("in use"),
        "{}",
        run.stderr
    );
}

#[test]
fn bad_certificate_is_one_line_and_exit_code_2() {
    let directory = TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    let (one, other) = (certificate(), certificate());
    write("cert.pem", &one.0);
    write("key.pem", &other.1);
    write("junk.pem", "not a certificate");
    for (cert, key, named) in [
        ("cert.pem", "key.pem", "key.pem"),
        ("junk.pem", "key.pem", "junk.pem"),
        ("cert.pem", "junk.pem", "junk.pem"),
        ("none.pem", "key.pem", "none.pem"),
        ("cert.pem", "none.pem", "none.pem"),
    ] {
        let args = [
            "--listen",
            "127.0.0.1:0",
            "--tls-cert",
            cert,
            "--tls-key",
            key,
        ];
        let run = run_in(directory.path(), &args, &[]);
        assert_eq!(run.code, Some(2), "{cert} {key}");
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(
            run.stderr.contains(named),
            "{} should name {named}",
            run.stderr
        );
    }
}

#[test]
fn certificate_makes_the_listeners_wss() {
    let (cert, key) = certificate();
    let files = [
        ("cert.pem", cert.as_str()),
        ("key.pem", key.as_str()),
        (
            "sockeye.toml",
            "listen = \"127.0.0.1:0\"\n[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n",
        ),
    ];
    let server = Server::start_with(&[], &files);
    assert!(
        server.banner.contains("  wss://127.0.0.1:")
            && server.banner.contains("  https://127.0.0.1:")
    );
    let url = format!(
        "wss://localhost:{}/echo",
        server.addrs[0].rsplit(':').next().unwrap()
    );
    let ca = server.directory.path().join("cert.pem");
    let talk = |args: &[&str]| {
        support::run_with_stdin(
            &[
                &["connect", &url, "--exit-after", "1", "--wait", "60s"][..],
                args,
            ]
            .concat(),
            b"hi\n",
        )
    };
    let trusted = talk(&["--cacert", ca.to_str().unwrap()]);
    assert_eq!(
        (trusted.code, trusted.stdout.as_str()),
        (Some(0), "hi\n"),
        "{}",
        trusted.stderr
    );
    assert_eq!(talk(&["--insecure"]).stdout, "hi\n");
    let second = talk(&["--insecure", "--http2", "-v"]);
    assert_eq!(second.stdout, "hi\n", "{}", second.stderr);
    // Over HTTP/2 there is no key (RFC 8441 section 5).
    assert!(
        !second.stderr.contains("sec-websocket-key"),
        "{}",
        second.stderr
    );
    let stranger = talk(&[]);
    assert_eq!(stranger.code, Some(3), "{}", stranger.stderr);
    assert_eq!(stranger.stderr.lines().count(), 1, "{}", stranger.stderr);
}

#[test]
fn interrupt_drains_and_reports() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    let directory = TempDir::new().unwrap();
    let mut client = sockeye(directory.path())
        .args(["connect", &server.ws("/echo")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // An echo proves that the session is open.
    let mut stdin = client.stdin.take().unwrap();
    stdin.write_all(b"here\n").unwrap();
    let mut line = String::new();
    BufReader::new(client.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "here\n");

    server.signal("INT");
    let (status, stderr) = server.wait();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(
        stderr.contains("draining, 1 open") && stderr.contains("drained, 1 closed"),
        "{stderr}"
    );
    // 1012 is a server that comes back, not a failure.
    assert_eq!(client.wait().unwrap().code(), Some(0));
}

#[test]
fn terminate_drains_too() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    server.signal("TERM");
    let (status, stderr) = server.wait();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("drained, 0 closed"), "{stderr}");
}

/// Who is asked whether newcomers should come has to hear it before they can't.
#[test]
fn readiness_ends_with_the_first_signal_and_the_server_with_the_second() {
    let server = Server::start(&["--listen", "127.0.0.1:0", "--drain-notice", "1h"]);
    let ready = "GET /health/ready HTTP/1.1\r\n\r\n";
    let answer = server.http(ready);
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("ready\n"),
        "{answer}"
    );
    server.signal("TERM");
    let until = Instant::now() + Duration::from_secs(20);
    let answer = loop {
        let answer = server.http(ready);
        if !answer.starts_with("HTTP/1.1 200") || Instant::now() > until {
            break answer;
        }
    };
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.ends_with("draining\n"),
        "{answer}"
    );
    // It lives, and serves those who come all the same.
    let live = server.http("GET /health/live HTTP/1.1\r\n\r\n");
    assert!(live.starts_with("HTTP/1.1 200"), "{live}");
    let talk = support::run_with_stdin(
        &[
            "connect",
            &server.ws("/echo"),
            "--exit-after",
            "1",
            "--wait",
            "60s",
        ],
        b"hi\n",
    );
    assert_eq!(talk.stdout, "hi\n", "{}", talk.stderr);
    server.signal("TERM");
    let (status, stderr) = server.wait();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("stopped at once, 0 cut off"), "{stderr}");
}

#[test]
fn a_ping_in_text_is_answered_where_that_is_switched_on() {
    let answer = |server: &Server, path: &str| {
        let args = [
            "connect",
            &server.ws(path),
            "--exit-after",
            "1",
            "--wait",
            "60s",
        ];
        support::run_with_stdin(&args, b"ping\n").stdout
    };
    let strict = Server::start(&["--listen", "127.0.0.1:0"]);
    let answering = Server::start(&["--listen", "127.0.0.1:0", "--app-heartbeat", "on"]);
    for path in ["/", "/echo", "/websocket/ws"] {
        assert_eq!(answer(&strict, path), "ping\n");
        assert_eq!(answer(&answering, path), "pong\n");
    }
    let args = [
        "connect",
        &answering.ws("/echo"),
        "--exit-after",
        "1",
        "--wait",
        "60s",
    ];
    let other = support::run_with_stdin(&args, b"ping?\n");
    assert_eq!(other.stdout, "ping?\n");
}

/// The limits come from the configuration: a silent peer is cut off, an idle one is closed.
#[test]
fn limits_of_time_are_configured() {
    let flags = [
        "--log-filter",
        "sockeye=debug",
        "--heartbeat-timeout",
        "200ms",
    ];
    let cases = [
        (&["--heartbeat-interval", "200ms"][..], "no sign of life"),
        (
            &["--heartbeat-interval", "off", "--idle-timeout", "200ms"],
            "(idle)",
        ),
        (
            &["--lifetime-max", "200ms", "--lifetime-spread", "100ms"],
            "(lifetime)",
        ),
    ];
    for (more, reason) in cases {
        let server = Server::start(&[&["--listen", "127.0.0.1:0"], &flags[..], more].concat());
        let mut silent = std::net::TcpStream::connect(&server.addrs[0]).unwrap();
        silent
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let request = format!(
            "GET /echo HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            server.addrs[0]
        );
        silent.write_all(request.as_bytes()).unwrap();
        // A reset, or the end after the close timeout.
        let mut rest = Vec::new();
        let _ = silent.read_to_end(&mut rest);
        server.signal("TERM");
        let (_, stderr) = server.wait();
        assert!(stderr.contains(reason), "{reason}: {stderr}");
    }
}

#[test]
fn second_signal_ends_at_once() {
    let server = Server::start(&[
        "--listen",
        "127.0.0.1:0",
        "--drain-timeout",
        "1h",
        "--close-timeout",
        "1h",
    ]);
    // A client that opens and then never answers anything.
    let mut silent = std::net::TcpStream::connect(&server.addrs[0]).unwrap();
    let request = format!(
        "GET /echo HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        server.addrs[0]
    );
    silent.write_all(request.as_bytes()).unwrap();
    let mut head = BufReader::new(silent.try_clone().unwrap());
    let mut line = String::new();
    head.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 101"), "{line}");
    server.signal("INT");
    // The Close frame tells that the drain has begun.
    while line != "\r\n" {
        line.clear();
        head.read_line(&mut line).unwrap();
    }
    assert_eq!(head.fill_buf().unwrap()[0], 0x88);
    server.signal("INT");
    let (status, stderr) = server.wait();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("stopped at once, 1 cut off"), "{stderr}");
}

/// Returns a certificate for `localhost` that vouches for itself, and its key.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}
