//! `sockeye connect` in a pipe, against our own server and against servers that misbehave.

mod support;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Stdio},
    thread::{self, JoinHandle},
};

use support::{Run, Server, run, run_with_stdin, sockeye};
use tempfile::TempDir;

fn serve() -> Server {
    Server::start(&["--listen", "127.0.0.1:0"])
}

#[test]
fn each_line_of_stdin_is_a_message() {
    let server = serve();
    let url = server.ws("/echo");
    let talk = run_with_stdin(
        &["connect", &url, "--exit-after", "3"],
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
            .args([
                "connect",
                &server.ws("/echo"),
                "--binary",
                "--exit-after",
                "4",
            ])
            .args(extra)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let sent = bytes.clone();
        let writer = thread::spawn(move || stdin.write_all(&sent));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(
            output.stdout == bytes,
            "{} bytes came back",
            output.stdout.len()
        );
    }
}

#[test]
fn hexadecimal_lines_are_binary_messages() {
    let server = serve();
    let url = server.ws("/echo");
    let talk = run_with_stdin(
        &["connect", &url, "--hex", "--exit-after", "1"],
        b"00 ff 7f\n",
    );
    assert_eq!(talk.stdout, "00ff7f\n");
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
            let (url, server) = misbehave(frame);
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
    let (url, server) = misbehave(&[0x81, 2, b'h', b'i', 0x88, 2, 0x03, 0xe8]);
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

/// A server that accepts one WebSocket, writes `frames`, ends its half, and returns what came until the end.
fn misbehave(frames: &[u8]) -> (String, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let frames = frames.to_vec();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        accept_by_hand(stream, &frames)
    });
    (url, server)
}

fn accept_by_hand(mut stream: TcpStream, frames: &[u8]) -> Vec<u8> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut key = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("sec-websocket-key")
        {
            key = value.trim().to_owned();
        }
    }
    let accept = sockeye_proto::handshake::accept_key(&key);
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream
        .write_all(&[head.as_bytes(), frames].concat())
        .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    let _ = reader.read_to_end(&mut rest);
    rest
}
