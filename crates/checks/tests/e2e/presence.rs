//! The commands of `docs/howto/presence.md`, run as they stand there.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use sockeye_checks::{Process, Server, need};

use crate::conversation::LIMIT;

/// A command of the page, and what the page says that it prints.
struct Shown {
    command: String,
    output: String,
}

#[test]
fn commands_of_the_presence_page_print_what_it_says() {
    if need::curl().is_none() {
        return;
    }
    let Some(server) = Server::start(&["--api-key", KEY]) else {
        return;
    };
    let _ann = come(&server, "ann");
    let _bob = come(&server, "bob");
    let shown = shown();
    assert!(shown.len() >= 6, "the page has lost its commands");
    for Shown { command, output } in shown {
        let mut shell = Command::new("sh");
        shell.args(["-c", &on_this_port(&command, &server)]);
        shell.env("KEY", KEY).env("no_proxy", "*");
        let mut curl = Process::start("curl", &mut shell, LIMIT);
        let mut guest = None;
        for line in output.lines().filter(|line| !line.is_empty()) {
            let expected = without_times(line);
            curl.wait_for(&format!("{expected:?}"), |line| {
                (without_times(&line.text) == expected).then_some(())
            });
            // The stream of changes shows that a client comes, and then goes.
            guest = match (line, guest) {
                ("data: {\"count\":2}", None) => Some(come(&server, "cat")),
                ("event: online", Some(_)) | (_, None) => None,
                (_, Some(guest)) => Some(guest),
            };
        }
    }
}

/// Returns the `curl` commands of the page, each with the block that follows it.
fn shown() -> Vec<Shown> {
    let path = need::root().join("docs/howto/presence.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let blocks: Vec<(&str, &str)> = page
        .split("\n```")
        .skip(1)
        .step_by(2)
        .map(|block| block.split_once('\n').expect("a block has a first line"))
        .collect();
    let pairs = blocks
        .windows(2)
        .filter(|pair| pair[0].1.starts_with("curl "));
    pairs
        .map(|pair| {
            assert!(
                ["json", "text"].contains(&pair[1].0),
                "{} prints nothing",
                pair[0].1
            );
            Shown {
                command: pair[0].1.to_owned(),
                output: pair[1].1.to_owned(),
            }
        })
        .collect()
}

fn on_this_port(command: &str, server: &Server) -> String {
    assert!(command.contains("127.0.0.1:8080"), "{command}");
    command.replace("127.0.0.1:8080", &format!("127.0.0.1:{}", server.port()))
}

/// Replaces every time by the same one.
fn without_times(line: &str) -> String {
    let mut text = String::new();
    for part in line.split_inclusive("_ms\":") {
        text.push_str(part.trim_start_matches(|letter: char| letter.is_ascii_digit()));
    }
    text
}

/// Opens a WebSocket as that client; it leaves when the stream is dropped.
fn come(server: &Server, client: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    let request = format!(
        "GET /echo?client_id={client} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("it reads");
    // The session is open when its answer is here, and an echo shows that the endpoint has been told.
    let ping = [0x89, 0x80, 0, 0, 0, 0];
    stream.write_all(&ping).expect("it reads");
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(&[0x8A, 0x00]) {
        stream.read_exact(&mut byte).expect("an answer");
        bytes.push(byte[0]);
    }
    assert!(bytes.starts_with(b"HTTP/1.1 101"));
    stream
}

const KEY: &str = "change-me";
