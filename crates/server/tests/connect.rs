//! `sockeye connect` in a pipe, against our own server and against servers that misbehave.

mod support;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::Instant,
};

use serde_json::{Value, json};
use support::{
    PATIENCE, Run, Server, run, run_with_stdin,
    scripted::{answer_and_hold, close_frame, say_and_end, say_and_hold},
    sockeye,
};
use tempfile::TempDir;

fn serve() -> Server {
    Server::start(&["--listen", "127.0.0.1:0"])
}

#[test]
fn each_line_of_stdin_is_a_message() {
    let server = serve();
    let url = server.ws("/echo");
    let talk = run_with_stdin(
        &["connect", &url, "--exit-after", "3", "--wait", "60s"],
        "one\n\nzwei 你好".as_bytes(),
    );
    assert_eq!(
        (talk.code, talk.stdout.as_str()),
        (Some(0), "one\n\nzwei 你好\n"),
        "{}",
        talk.stderr
    );
    assert_eq!(talk.stderr, "");
}

#[test]
fn after_the_last_line_it_waits_for_answers_and_closes() {
    let server = serve();
    let talk = run_with_stdin(&["connect", &server.ws("/"), "--wait", "300ms"], b"hi\n");
    assert_eq!(
        (talk.code, talk.stdout.as_str()),
        (Some(0), "hi\n"),
        "{}",
        talk.stderr
    );
}

#[test]
fn bytes_come_back_as_they_went() {
    let server = serve();
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    let directory = TempDir::new().unwrap();
    for extra in [&["--deflate=off"][..], &["--deflate"]] {
        let mut child = sockeye(directory.path())
            .args(["connect", &server.ws("/echo"), "--binary"])
            .args(extra)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let sent = bytes.clone();
        let writer = thread::spawn(move || {
            stdin.write_all(&sent).unwrap();
            stdin
        });
        let mut came = vec![0; bytes.len()];
        child.stdout.take().unwrap().read_exact(&mut came).unwrap();
        assert!(came == bytes, "other bytes came back");
        // Only now, so that no time limit decides what comes back.
        drop(writer.join().unwrap());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

// Issue 13, C.21.
#[test]
fn a_live_stream_of_bytes_is_sent_as_it_comes() {
    let server = serve();
    let directory = TempDir::new().unwrap();
    let mut child = sockeye(directory.path())
        .args(["connect", &server.ws("/echo"), "--binary"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    for word in [b"abc", b"def"] {
        stdin.write_all(word).unwrap();
        let mut came = [0; 3];
        // Stdin stays open: what holds the bytes back would hold them for ever.
        stdout.read_exact(&mut came).unwrap();
        assert_eq!(&came, word);
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

// Issue 13, D.23.
#[test]
fn fewer_messages_than_asked_for_end_the_wait_with_1() {
    let server = serve();
    let url = server.ws("/echo");
    for extra in [&[][..], &["--reconnect"]] {
        let args = [
            &["connect", &url, "--exit-after", "3", "--wait", "300ms"],
            extra,
        ]
        .concat();
        let talk = run_with_stdin(&args, b"one\n");
        assert_eq!(talk.code, Some(1), "{}", talk.stderr);
        assert!(talk.stderr.contains("1 of 3 messages"), "{}", talk.stderr);
    }
}

#[test]
fn a_second_signal_does_not_wait_for_a_server_that_reads_nothing() {
    let directory = TempDir::new().unwrap();
    for extra in [&[][..], &["--reconnect"]] {
        let (url, _server) = say_and_hold(b"\x81\x05ready".to_vec());
        let mut child = sockeye(directory.path())
            .args(["connect", &url])
            .args(extra)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // More than all queues hold: sending waits for a server that takes nothing.
        let writer = thread::spawn(move || {
            let line = format!("{}\n", "x".repeat(64 << 10));
            while stdin.write_all(line.as_bytes()).is_ok() {}
        });
        let mut heard = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut heard)
            .unwrap();
        assert_eq!(heard, "ready\n");
        let begun = Instant::now();
        // Again and again, since two signals in a row may count as one.
        while child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "it is still running");
            let id = child.id().to_string();
            Command::new("kill").args(["-INT", &id]).status().unwrap();
        }
        let ended: Run = child.wait_with_output().unwrap().into();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        writer.join().unwrap();
    }
}

// Issue 13, D.29.
#[test]
fn verbose_shows_a_refused_handshake() {
    let server = serve();
    let url = server.ws("/nowhere");
    let run = run(&["connect", &url, "-v", "-H", "X-River: up"]);
    let shown = run.stderr.to_ascii_lowercase();
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    for part in [
        "> get /nowhere",
        "> x-river: up",
        "< 404 not found",
        "< content-length: ",
    ] {
        assert!(shown.contains(part), "{part} is missing in\n{}", run.stderr);
    }
}

#[test]
fn a_host_of_ones_own_is_sent_instead_of_the_urls() {
    let server = serve();
    let url = server.ws("/nowhere");
    let run_with = |host: &str| run(&["connect", &url, "-v", "-H", &format!("Host: {host}")]);
    let shown = run_with("example.com:81").stderr;
    assert!(shown.contains("> host: example.com:81\n"), "{shown}");
    assert!(!shown.contains("> host: 127.0.0.1"), "{shown}");
    let refused = run_with("a b");
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("\"a b\""), "{}", refused.stderr);
}

#[test]
fn a_given_address_is_connected_to_in_place_of_the_names() {
    let server = serve();
    let port = server.addrs[0].rsplit(':').next().unwrap();
    let url = format!("ws://no-such-host.invalid:{port}/echo");
    let other = format!("no-such-host.invalid:1:{}", "10.0.0.1");
    let meant = format!("no-such-host.invalid:{port}:127.0.0.1");
    let args = ["connect", &url, "-v", "--exit-after", "1"];
    let given = ["--resolve", &other, "--resolve", &meant];
    let talk = run_with_stdin(&[&args[..], &given[..]].concat(), b"hi\n");
    assert_eq!(
        (talk.code, talk.stdout.as_str()),
        (Some(0), "hi\n"),
        "{}",
        talk.stderr
    );
    let host = format!("> host: no-such-host.invalid:{port}\n");
    assert!(talk.stderr.contains(&host), "{}", talk.stderr);

    for bad in ["no-such-host.invalid:1", "a b:1:10.0.0.1"] {
        let refused = run(&["connect", &url, "--resolve", bad]);
        assert_eq!(refused.code, Some(2), "{bad}: {}", refused.stderr);
    }
}

/// Serves with a self-signed certificate for another name.
fn serve_with_tls() -> (Server, String) {
    let directory = TempDir::new().unwrap();
    let certificate = rcgen::generate_simple_self_signed(["elsewhere.example".to_owned()]).unwrap();
    let (cert, key) = (
        directory.path().join("cert.pem"),
        directory.path().join("key.pem"),
    );
    std::fs::write(&cert, certificate.cert.pem()).unwrap();
    std::fs::write(&key, certificate.signing_key.serialize_pem()).unwrap();
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let listen = ["--listen", "127.0.0.1:0"];
    let server = Server::start(&[&listen[..], &["--tls-cert", cert, "--tls-key", key]].concat());
    let url = server.ws("/echo").replace("ws:", "wss:");
    (server, url)
}

#[test]
fn json_tells_the_status_of_http2_too() {
    let (_server, url) = serve_with_tls();
    for (flag, status) in [("--http2", 200), ("-v", 101)] {
        let (run, events) = events(&[&url, "-k", flag, "--exit-after", "1"], b"hi\n");
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert_eq!(events[0]["status"], status, "{flag}: {events:?}");
        assert_eq!(events[1]["data"], "hi");
    }
}

#[test]
fn any_certificate_is_accepted_on_demand_and_that_is_told() {
    let (_server, url) = serve_with_tls();
    let args = ["connect", &url, "--exit-after", "1"];
    let refused = run_with_stdin(&args, b"hi\n");
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert!(refused.stderr.contains("--cacert"), "{}", refused.stderr);
    for flag in ["-k", "--insecure"] {
        let talk = run_with_stdin(&[&args[..], &[flag]].concat(), b"hi\n");
        assert_eq!(
            (talk.code, talk.stdout.as_str()),
            (Some(0), "hi\n"),
            "{}",
            talk.stderr
        );
        assert!(
            talk.stderr.starts_with("sockeye: warning: any certificate"),
            "{}",
            talk.stderr
        );
    }
}

// Issue 13, C.21 and D.29.
#[test]
fn who_mixes_up_ws_and_wss_is_told() {
    let plain = serve();
    let with_tls = plain.ws("/echo").replace("ws:", "wss:");
    // An alert, as servers answer what is no ClientHello: a fatal unexpected_message.
    let without_tls = answer_and_hold(&[0x15, 3, 3, 0, 2, 2, 10]);
    for (url, hint) in [(with_tls, "`ws:`"), (without_tls, "`wss:`")] {
        let run = run(&["connect", &url, "--insecure"]);
        assert_eq!(run.code, Some(3), "{}", run.stderr);
        assert!(run.stderr.contains(hint), "{}", run.stderr);
    }
}

#[test]
fn hexadecimal_lines_are_binary_messages() {
    let server = serve();
    let url = server.ws("/echo");
    let talk = run_with_stdin(
        &[
            "connect",
            &url,
            "--hex",
            "--exit-after",
            "1",
            "--wait",
            "60s",
        ],
        b"00 ff 7f\n",
    );
    assert_eq!(talk.stdout, "00ff7f\n");
}

#[test]
fn nul_separates_texts_that_have_newlines() {
    let server = serve();
    let url = server.ws("/echo");
    let args = ["connect", &url, "-0", "--exit-after", "4"];
    // The last one has no end of its own; the second is empty.
    let talk = run_with_stdin(&args, b"one\ntwo\r\n\0\0{\n}\0last");
    assert_eq!(
        (talk.code, talk.stdout.as_str()),
        (Some(0), "one\ntwo\r\n\0\0{\n}\0last\0"),
        "{}",
        talk.stderr
    );
    let refused = run_with_stdin(&["connect", &url, "--null"], b"fine\0\xff\0");
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("message 2: not UTF-8"),
        "{}",
        refused.stderr
    );
}

/// Runs with `--json`, and reads each line of stdout.
fn events(args: &[&str], input: &[u8]) -> (Run, Vec<Value>) {
    let run = run_with_stdin(&[&["connect", "--json"], args].concat(), input);
    let lines = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let events = lines.collect();
    (run, events)
}

#[test]
fn json_tells_each_event_of_a_conversation() {
    let server = serve();
    for extra in [&[][..], &["--reconnect"], &["-v"]] {
        let url = server.ws("/echo");
        let args = [&[&url, "--exit-after", "1"], extra].concat();
        let (run, events) = events(&args, "zwei\t你好\n".as_bytes());
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        assert_eq!(events.len(), 3, "{events:?}");
        assert_eq!(events[0]["event"], "open");
        assert_eq!(events[0]["status"], 101);
        assert_eq!(events[0]["headers"]["upgrade"], json!(["websocket"]));
        assert_eq!(events[0]["subprotocol"], Value::Null);
        let message = json!({"event": "message", "type": "text", "data": "zwei\t你好"});
        assert_eq!(events[1], message);
        let close = json!({"event": "close", "code": 1000, "reason": "", "by": "us"});
        assert_eq!(events[2], close);
    }
}

#[test]
fn json_tells_binary_messages_control_frames_and_who_closed() {
    let mut frames = b"\x82\x02\xff\x00\x89\x02hi\x8a\x00".to_vec();
    frames.extend(close_frame(4001, "bye"));
    let (url, server) = say_and_end(frames);
    // Stdin stays open until the server has closed.
    let run = open_stdin(&["connect", "--json", &url]);
    server.join().unwrap();
    assert_eq!(run.code, Some(1));
    let events: Vec<Value> = run
        .stdout
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for event in [
        json!({"event": "message", "type": "binary", "data": "/wA="}),
        json!({"event": "ping", "data": "aGk="}),
        json!({"event": "pong", "data": "", "round_trip_ms": null}),
    ] {
        assert!(events.contains(&event), "{event} is missing in {events:?}");
    }
    let close = json!({"event": "close", "code": 4001, "reason": "bye", "by": "peer"});
    assert_eq!((events.len(), events.last()), (4, Some(&close)));
}

#[test]
fn json_tells_what_went_wrong() {
    let server = serve();
    let (run, refused) = events(&[&server.ws("/nowhere")], b"");
    assert_eq!((run.code, refused.len()), (Some(3), 1), "{}", run.stdout);
    assert_eq!(refused[0]["event"], "error");
    assert_eq!(refused[0]["kind"], "refused");
    assert_eq!(refused[0]["status"], 404);
    assert!(
        refused[0]["headers"]["content-length"].is_array(),
        "{refused:?}"
    );
    assert!(refused[0]["body"].is_string());

    let (url, scripted) = say_and_end(vec![0x83, 0]);
    let run = open_stdin(&["connect", "--json", &url]);
    scripted.join().unwrap();
    assert_eq!(run.code, Some(4), "{}", run.stdout);
    let events: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events[1]["event"], "error");
    assert_eq!(events[1]["kind"], "protocol");
    assert_eq!(events[1]["status"], Value::Null);
    assert_eq!(
        (&events[2]["event"], &events[2]["by"]),
        (&json!("close"), &json!("us"))
    );
    assert_eq!((&events[2]["code"], events.len()), (&json!(1002), 3));
}

#[test]
fn json_tells_of_each_attempt_to_connect_again() {
    let (url, server) = say_and_end(close_frame(4002, "again"));
    let directory = TempDir::new().unwrap();
    let mut child = sockeye(directory.path())
        .args(["connect", "--json", "--reconnect", &url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut event = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(event()["event"], "open");
    let (mut kinds, mut last) = (Vec::new(), event());
    while last["event"] != "retry" {
        kinds.push(last["event"].clone());
        last = event();
    }
    assert_eq!(kinds.last(), Some(&json!("close")), "{kinds:?}");
    assert!(last["in_ms"].is_number(), "{last}");
    server.join().unwrap();
    // No program listens there any more.
    let lost = event();
    assert_eq!(
        (&lost["event"], &lost["kind"]),
        (&json!("error"), &json!("io"))
    );
    assert_eq!(event()["event"], "retry");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn verbose_shows_handshake_and_close_on_stderr() {
    let server = serve();
    let url = server.ws("/echo");
    let args = [
        "connect",
        &url,
        "-v",
        "--exit-after",
        "1",
        "--wait",
        "60s",
        "-H",
        "X-River: up",
    ];
    let talk = run_with_stdin(&args, b"hi\n");
    assert_eq!(talk.stdout, "hi\n");
    let shown = talk.stderr.to_ascii_lowercase();
    for part in [
        "> get ",
        "> x-river: up",
        "< sec-websocket-accept: ",
        "< sec-websocket-extensions: permessage-deflate",
        "close 1000",
    ] {
        assert!(
            shown.contains(part),
            "{part} is missing in\n{}",
            talk.stderr
        );
    }
}

#[test]
fn everybody_in_the_room_gets_what_one_sends() {
    let server = serve();
    let url = server.ws("/websocket/ws");
    let directory = TempDir::new().unwrap();
    let join = || {
        let mut command = sockeye(directory.path());
        command.args(["connect", &url, "--exit-after", "3"]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let (mut one, mut other) = (join(), join());
    let say = |client: &mut Child, text: &str| {
        client
            .stdin
            .as_mut()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    };
    let mut hears_one = BufReader::new(one.stdout.take().unwrap());
    let mut hears_other = BufReader::new(other.stdout.take().unwrap());
    let line = |client: &mut BufReader<_>| {
        let mut line = String::new();
        client.read_line(&mut line).unwrap();
        line
    };
    // The sender hears itself, which also proves that it is in.
    say(&mut one, "first\n");
    assert_eq!(line(&mut hears_one), "first\n");
    say(&mut other, "second\n");
    while line(&mut hears_other) != "second\n" {}
    assert_eq!(line(&mut hears_one), "second\n");
    say(&mut one, "third\n");
    assert_eq!(line(&mut hears_one), "third\n");
    assert_eq!(line(&mut hears_other), "third\n");
    assert_eq!(one.wait().unwrap().code(), Some(0));
}

#[test]
fn who_cannot_connect_exits_with_3() {
    // A port that was free a moment ago.
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let server = serve();
    for (url, named) in [
        (format!("ws://{gone}/"), "refused"),
        (server.ws("/nowhere"), "404"),
    ] {
        let run = run(&["connect", &url]);
        assert_eq!(run.code, Some(3), "{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(run.stderr.contains(named), "{}", run.stderr);
    }
}

#[test]
fn time_limit_of_connecting_is_kept() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", silent.local_addr().unwrap());
    let run = run(&["connect", &url, "--timeout", "200ms"]);
    assert_eq!(run.code, Some(3), "{}", run.stderr);
}

#[test]
fn bad_address_exits_with_2() {
    for url in ["ftp://a/", "ws://", "ws://a:99999/"] {
        let run = run(&["connect", url]);
        assert_eq!(run.code, Some(2), "{url}: {}", run.stderr);
    }
}

#[test]
fn exit_code_tells_how_it_ended() {
    for (frame, code, said) in [
        (&[0x88, 2, 0x03, 0xe8][..], 0, ""),
        (&[0x88, 2, 0x03, 0xe9], 0, ""),
        (&[0x88, 5, 0x0f, 0xa1, b'b', b'y', b'e'], 1, "4001 bye"),
        (&[0x88, 0], 0, ""),
        (&[], 1, ""),
        // Reserved opcode; text that is not UTF-8.
        (&[0x83, 0], 4, "protocol"),
        (&[0x81, 1, 0xff], 4, ""),
    ] {
        for extra in [&[][..], &["--echo"]] {
            let (url, server) = say_and_end(frame.to_vec());
            let run = open_stdin(&[&["connect", &url], extra].concat());
            assert_eq!(
                run.code,
                Some(code),
                "{frame:02x?} {extra:?}: {}",
                run.stderr
            );
            assert!(run.stderr.contains(said), "{frame:02x?}: {}", run.stderr);
            server.join().unwrap();
        }
    }
}

#[test]
fn echo_answers_each_message_until_the_peer_closes() {
    // A text message, then the end.
    let (url, server) = say_and_end(vec![0x81, 2, b'h', b'i', 0x88, 2, 0x03, 0xe8]);
    let run = open_stdin(&["connect", &url, "--echo"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let answered = server.join().unwrap();
    let mask = &answered[2..6];
    assert_eq!(&answered[..2], [0x81, 0x82]);
    assert_eq!([answered[6] ^ mask[0], answered[7] ^ mask[1]], *b"hi");
    assert_eq!(answered[8], 0x88);
}

/// Runs with a stdin that stays open until the process has ended.
fn open_stdin(args: &[&str]) -> Run {
    let directory = TempDir::new().unwrap();
    let mut child = sockeye(directory.path())
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _stdin = child.stdin.take();
    child.wait_with_output().unwrap().into()
}
