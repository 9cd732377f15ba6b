//! `sockeye connect --reconnect` while its server is killed, restarted and refuses.

mod support;

use std::{
    io::{BufReader, Write as _},
    net::TcpListener,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Stdio},
    thread,
};

use support::{Port, Server, run, run_with_stdin, sockeye};
use tempfile::TempDir;

/// `sockeye connect --reconnect`, in a pipe.
struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    _directory: TempDir,
}

impl Client {
    fn start(url: &str, options: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let mut child = sockeye(directory.path())
            .args(["connect", url, "--reconnect"])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            stderr: BufReader::new(child.stderr.take().unwrap()),
            child,
            _directory: directory,
        }
    }

    fn say(&mut self, text: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{text}").unwrap();
    }

    fn hear(&mut self) -> String {
        line(&mut self.stdout)
    }

    fn told(&mut self) -> String {
        line(&mut self.stderr)
    }

    /// Waits for that line on stderr.
    fn told_at_last(&mut self, wanted: impl Fn(&str) -> bool) {
        loop {
            let told = self.told();
            assert!(!told.is_empty(), "it ended");
            if wanted(&told) {
                return;
            }
        }
    }

    /// Ends stdin; returns the exit code.
    fn end(mut self) -> Option<i32> {
        self.stdin = None;
        self.child.wait().unwrap().code()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(output: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

#[test]
fn it_survives_a_killed_server_and_sends_what_was_said_meanwhile() {
    let port = Port::reserve();
    let server = Server::start(&["--listen", &port.addr()]);
    let mut client = Client::start(&format!("ws://{}/echo", port.addr()), &[]);
    client.say("before");
    assert_eq!(client.hear(), "before");
    drop(server);
    let told = client.told();
    assert!(
        told.starts_with("disconnected (") && told.ends_with(" s"),
        "{told}"
    );
    // It had lasted for a moment only, so it counts as a failure: below one second.
    let (_, delay) = told.split_once("), again in ").unwrap();
    let delay: f64 = delay.trim_end_matches(" s").parse().unwrap();
    assert!(delay <= 1.0, "{told}");
    client.say("one");
    client.say("two");
    client.told_at_last(|told| told.contains("refused"));
    let _server = Server::start(&["--listen", &port.addr()]);
    client.told_at_last(|told| told == "connected");
    assert_eq!([client.hear(), client.hear()], ["one", "two"]);
    client.say("after");
    assert_eq!(client.hear(), "after");
    assert_eq!(client.end(), Some(0));
}

#[test]
fn it_waits_for_a_server_that_is_not_there_yet() {
    let port = Port::reserve();
    let mut client = Client::start(
        &format!("ws://{}/echo", port.addr()),
        &["--exit-after", "1", "--wait", "60s"],
    );
    client.say("early");
    client.told_at_last(|told| told.contains("refused"));
    client.stdin = None;
    let _server = Server::start(&["--listen", &port.addr()]);
    assert_eq!(client.hear(), "early");
    assert_eq!(client.end(), Some(0));
}

#[test]
fn more_than_the_queue_holds_waits_in_the_pipe() {
    let port = Port::reserve();
    let mut client = Client::start(&format!("ws://{}/echo", port.addr()), &[]);
    client.told_at_last(|told| told.contains("refused"));
    let mut stdin = client.stdin.take().unwrap();
    let writer = thread::spawn(move || {
        for number in 0..20_000 {
            writeln!(stdin, "message {number}").unwrap();
        }
    });
    let _server = Server::start(&["--listen", &port.addr()]);
    for number in 0..20_000 {
        assert_eq!(client.hear(), format!("message {number}"));
    }
    writer.join().unwrap();
    assert_eq!(client.end(), Some(0));
}

#[test]
fn final_answers_end_it_with_their_exit_codes() {
    for (answer, code) in [
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", 3),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 3),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while !line(&mut reader).is_empty() {}
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let ended = run(&["connect", &url, "--reconnect"]);
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        server.join().unwrap();
    }
    let ended = run(&["connect", "ftp://a/", "--reconnect"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
}

#[test]
fn without_an_outage_it_is_the_same_as_without_the_flag() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    let url = server.ws("/echo");
    let talk = run_with_stdin(
        &[
            "connect",
            &url,
            "--reconnect",
            "-v",
            "--exit-after",
            "2",
            "--wait",
            "60s",
        ],
        b"a\nb\n",
    );
    assert_eq!(
        (talk.code, talk.stdout.as_str()),
        (Some(0), "a\nb\n"),
        "{}",
        talk.stderr
    );
    for part in ["* open", "> close 1000", "< close 1000"] {
        assert!(talk.stderr.contains(part), "{}", talk.stderr);
    }
}
