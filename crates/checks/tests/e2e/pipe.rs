//! `sockeye connect` as people use it in a pipe, against `sockeye serve`.

use std::process::Command;

use sockeye_checks::{Certificate, Ended, Process, Server, sockeye};

use crate::conversation::LIMIT;

#[test]
fn lines_from_a_pipe_come_back_as_lines() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let Some(dial) = sockeye("connect", &[&server.url("/echo")]) else {
        return;
    };
    let ended = send(dial, &["hi", "你好"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    assert_eq!(ended.out(), ["hi", "你好"]);
}

#[test]
fn the_own_client_trusts_a_given_root_and_no_other() {
    let (ours, other) = (Certificate::new(), Certificate::new());
    let (chain, key) = (ours.chain(), ours.key());
    let Some(server) = Server::start(&["--tls-cert", &chain, "--tls-key", &key]) else {
        return;
    };
    let url = format!("wss://localhost:{}/echo", server.port());
    let dial = |root: &str| sockeye("connect", &["--cacert", root, &url]).expect("the binary");
    let trusting = send(dial(&chain), &["hi"]);
    assert_eq!(
        (trusting.code, trusting.out()),
        (Some(0), vec!["hi"]),
        "{}",
        trusting.transcript()
    );
    let wary = send(dial(&other.chain()), &["hi"]);
    assert_eq!(
        (wary.code, wary.out()),
        (Some(3), vec![]),
        "{}",
        wary.transcript()
    );
}

#[test]
fn the_own_client_talks_over_http2() {
    let certificate = Certificate::new();
    let (chain, key) = (certificate.chain(), certificate.key());
    let Some(server) = Server::start(&["--tls-cert", &chain, "--tls-key", &key]) else {
        return;
    };
    let url = format!("wss://localhost:{}/echo", server.port());
    let arguments = ["-v", "--http2", "--cacert", &chain, &url];
    let Some(dial) = sockeye("connect", &arguments) else {
        return;
    };
    let ended = send(dial, &["hi"]);
    assert_eq!(
        (ended.code, ended.out()),
        (Some(0), vec!["hi"]),
        "{}",
        ended.transcript()
    );
    // RFC 8441 section 5: this header field is for an Upgrade alone.
    let headers = ended.err().join("\n").to_lowercase();
    assert!(
        !headers.contains("sec-websocket-accept"),
        "{}",
        ended.transcript()
    );
    assert!(headers.contains("open"), "{}", ended.transcript());
}

#[test]
fn a_port_in_use_is_one_clear_line_and_exit_code_2() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let address = format!("127.0.0.1:{}", server.port());
    let Some(mut second) = sockeye("serve", &["--listen", &address]) else {
        return;
    };
    let ended = Process::start("a second server", &mut second, LIMIT).wait();
    assert_eq!(ended.code, Some(2), "{}", ended.transcript());
    assert_eq!(ended.log.len(), 1, "{}", ended.transcript());
    assert!(ended.err()[0].contains(&address), "{}", ended.transcript());
}

#[test]
fn ctrl_c_closes_with_1012_and_says_when_to_come_back() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let Some(mut dial) = sockeye("connect", &["-v", &server.url("/echo")]) else {
        return;
    };
    let mut client = Process::start("sockeye connect", &mut dial, LIMIT);
    client.wait_for_text("open");
    let stopped = server.stop();
    assert_eq!(stopped.code, Some(0), "{}", stopped.transcript());
    let ended = client.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    assert!(
        ended.transcript().contains("close 1012 restart retry_ms="),
        "{}",
        ended.transcript()
    );
}

fn send(mut dial: Command, lines: &[&str]) -> Ended {
    let mut process = Process::start("sockeye connect", &mut dial, LIMIT);
    for line in lines {
        process.write_line(line);
    }
    process.end_input();
    process.wait()
}
