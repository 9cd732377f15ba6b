//! What `sockeye serve` says on stderr, for people and for programs.

mod support;

use serde_json::Value;
use support::{Run, Server, run, run_with_stdin, scripted};

/// Parses each line, which has to be an object.
fn lines(text: &str) -> Vec<Value> {
    let parse = |line: &str| match serde_json::from_str(line) {
        Ok(value @ Value::Object(_)) => value,
        _ => panic!("not an object of JSON: {line}"),
    };
    text.lines().map(parse).collect()
}

fn is_message(line: &Value, message: &str) -> bool {
    line["fields"]["message"] == message
}

// Issue 13, D.26.
#[test]
fn with_json_every_line_is_json_with_the_types_that_things_have() {
    let args = ["--listen", "127.0.0.1:0", "--log-format", "json"];
    let more = [
        "--log-filter",
        "sockeye=debug,info",
        "--log-connections",
        "on",
    ];
    let server = Server::start(&[&args[..], &more].concat());
    let served = lines(&server.banner);
    assert!(served.iter().any(|line| {
        is_message(line, "serving") && line["fields"]["url"] == server.ws("/echo")
    }));
    let url = server.ws("/echo");
    let talk = run_with_stdin(
        &["connect", &url, "--exit-after", "2", "--wait", "60s"],
        b"hi\nyou\n",
    );
    assert_eq!(talk.code, Some(0), "{}", talk.stderr);
    server.signal("TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0));
    let logged = lines(&log);
    assert!(!log.contains("Some("), "{log}");
    let opened = logged.iter().find(|line| is_message(line, "open")).unwrap();
    assert_eq!(opened["fields"]["client_addr"], "127.0.0.1");
    let ended = logged
        .iter()
        .find(|line| is_message(line, "connection ended"));
    let ended = &ended.unwrap()["fields"];
    assert_eq!(ended["path"], "/echo");
    assert_eq!(ended["client_addr"], "127.0.0.1");
    assert_eq!(ended["received_messages"], 2);
    assert_eq!(ended["received_bytes"], 5);
    assert_eq!(ended["sent_messages"], 2);
    assert_eq!(ended["sent_bytes"], 5);
    assert_eq!(ended["closed_by"], "client");
    assert_eq!(ended["code"], 1000);
    assert!(ended["duration_ms"].is_u64(), "{ended}");
    let drained = logged.iter().find(|line| is_message(line, "drained"));
    assert_eq!(drained.unwrap()["fields"]["closed"], 0);
}

#[test]
fn the_line_of_an_end_tells_what_was_sent_in_whatever_way() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let files = [("cert.pem", &*cert), ("key.pem", &*key)];
    let tls = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let log = ["--log-format", "json", "--log-connections", "on"];
    let args = [&["--listen", "127.0.0.1:0"][..], &tls, &log].concat();
    let server = Server::start_with(&args, &files);
    // A reply of an endpoint, a group, a session that is sent to from another thread; and each over HTTP/2.
    let said = [
        ("/echo", "hello\nyou\n"),
        ("/websocket/ws", "hello\nyou\n"),
        ("/chat", "hello\n"),
    ];
    let ways = said.map(|said| [(said, &[][..]), (said, &["--http2"])]);
    let mut heard = Vec::new();
    for ((path, said), version) in ways.into_iter().flatten() {
        let url = format!("wss://{}{path}", server.addrs[0]);
        let args = [
            "connect",
            &url,
            "--insecure",
            "--exit-after",
            "2",
            "--wait",
            "60s",
        ];
        let talk = run_with_stdin(&[&args[..], version].concat(), said.as_bytes());
        assert_eq!(talk.code, Some(0), "{}", talk.stderr);
        let bytes: usize = talk.stdout.lines().map(str::len).sum();
        heard.push((path, talk.stdout.lines().count(), bytes));
    }
    server.signal("TERM");
    let (_, log) = server.wait();
    let ended = lines(&log);
    let ended = ended
        .iter()
        .filter(|line| is_message(line, "connection ended"))
        .map(|line| &line["fields"]);
    let mut count = 0;
    for (fields, (path, messages, bytes)) in ended.zip(&heard) {
        assert_eq!(fields["path"], *path);
        assert_eq!(
            (&fields["sent_messages"], &fields["sent_bytes"]),
            (&(*messages).into(), &(*bytes).into()),
            "{fields}"
        );
        count += 1;
    }
    assert_eq!(count, heard.len());
}

#[test]
fn with_json_the_reason_not_to_start_is_json_too() {
    let refused = |args: &[&str]| -> Run {
        let run = run(args);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        let line = &lines(&run.stderr)[0];
        assert_eq!(line["level"], "ERROR");
        run
    };
    let json = ["--log-format", "json"];
    refused(
        &[
            &json[..],
            &["--tls-cert", "/nowhere", "--tls-key", "/nowhere"],
        ]
        .concat(),
    );
    refused(&[&json[..], &["--config", "/nowhere"]].concat());
    refused(&["--log-format=json", "--message-bytes-max", "12MB"]);
    refused(&["--log-format=json", "--dance"]);
    let unasked = run(&["--config", "/nowhere"]);
    assert!(
        unasked.stderr.starts_with("sockeye: "),
        "{}",
        unasked.stderr
    );
}

#[test]
fn an_end_is_logged_only_when_asked_for() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    let url = server.ws("/echo");
    run_with_stdin(
        &["connect", &url, "--exit-after", "1", "--wait", "60s"],
        b"hi\n",
    );
    server.signal("TERM");
    let (_, log) = server.wait();
    assert!(!log.contains("connection ended"), "{log}");
}

// Issue 13, B.15.
#[test]
fn a_client_forges_no_line_of_the_log() {
    let args = [
        "--listen",
        "127.0.0.1:0",
        "--log-filter",
        "sockeye=debug,info",
    ];
    let server = Server::start(&[&args[..], &["--log-connections", "on"]].concat());
    let forged = "2026-01-01T00:00:00.000000Z ERROR sockeye: FORGED \u{1b}[2J\u{202e}";
    scripted::close_with(&server.addrs[0], 4000, &format!("x\n{forged}\n"));
    server.signal("TERM");
    let (_, log) = server.wait();
    assert!(log.contains("FORGED"), "{log}");
    assert!(
        !log.lines().any(|line| line.starts_with("2026-01-01")),
        "{log}"
    );
    assert!(!log.contains(['\u{1b}', '\u{202e}']), "{log:?}");
}
