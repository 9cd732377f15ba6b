//! `sockeye connect` and `sockeye bench` as a person has them: at a terminal.
#![cfg(target_os = "linux")]

mod support;

use std::{net::TcpListener, process::Command};

use support::{
    Port, Server,
    scripted::{close_frame, say_and_end, say_and_hold},
    sockeye,
    terminal::{CTRL_C, CTRL_D, Terminal},
};
use tempfile::TempDir;

/// Runs `sockeye` with these arguments at a terminal.
fn at_terminal(args: &[&str]) -> Terminal {
    let directory = TempDir::new().unwrap();
    let mut command = sockeye(directory.path());
    command.args(args);
    Terminal::start(command, directory)
}

fn serve() -> Server {
    Server::start(&["--listen", "127.0.0.1:0"])
}

#[test]
fn lines_are_messages_and_both_keys_end_the_conversation() {
    let server = serve();
    for extra in [&[][..], &["--reconnect"]] {
        for key in [CTRL_C, CTRL_D, "/close\r"] {
            let mut terminal = at_terminal(&[&["connect", &server.ws("/echo")], extra].concat());
            terminal.wait_until_shown("> ");
            terminal.press("hello\r");
            terminal.wait_until_shown("< hello");
            terminal.press(key);
            assert_eq!(terminal.wait().code, Some(0), "{key:?} {extra:?}");
        }
    }
}

#[test]
fn a_ping_shows_its_round_trip() {
    let server = serve();
    for extra in [&[][..], &["-v"], &["--reconnect"]] {
        let mut terminal = at_terminal(&[&["connect", &server.ws("/echo")], extra].concat());
        terminal.wait_until_shown("> ");
        if extra == ["--reconnect"] {
            // A ping needs a connection.
            terminal.press("hello\r");
            terminal.wait_until_shown("< hello");
        }
        terminal.press("/ping\r");
        terminal.wait_until_shown("< pong \"1\" time=");
        terminal.press("/ping again\r");
        terminal.wait_until_shown("< pong \"again\" time=");
        terminal.press(CTRL_D);
        let ended = terminal.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.shown);
        let times: Vec<&str> = ended
            .shown
            .split(" time=")
            .skip(1)
            .map(|rest| rest.split_once(" ms").unwrap().0)
            .collect();
        assert_eq!(times.len(), 2, "{}", ended.shown);
        for time in times {
            assert!(time.parse::<f64>().unwrap() > 0.0, "{time}");
            assert_eq!(time.split_once('.').unwrap().1.len(), 3, "{time}");
        }
    }
}

#[test]
fn json_at_a_terminal_commands_it_no_more_than_text_and_pings_are_timed() {
    let evil = "\u{1b}[2J\u{9b}31m\u{202e}";
    let mut frames = vec![0x81, evil.len() as u8];
    frames.extend_from_slice(evil.as_bytes());
    frames.extend_from_slice(&close_frame(4000, &format!("reason {evil}")));
    let (url, server) = say_and_end(frames);
    let ended = at_terminal(&["connect", "--json", &url]).wait();
    for hostile in ["\u{1b}[2J\u{9b}", "\u{9b}31m", "\u{202e}"] {
        assert!(
            !ended.shown.contains(hostile),
            "{hostile:?}: {:?}",
            ended.shown
        );
    }
    for shown in [
        r#""data":"\u001b[2J\u009b31m\u202e""#,
        r#""reason":"reason \u001b"#,
    ] {
        assert!(ended.shown.contains(shown), "{shown}: {:?}", ended.shown);
    }
    drop(server);

    let server = serve();
    let mut terminal = at_terminal(&["connect", "--json", &server.ws("/echo")]);
    terminal.wait_until_shown(r#"{"event":"open""#);
    terminal.press("/ping hi\r");
    terminal.wait_until_shown(r#"{"event":"pong","data":"aGk=","round_trip_ms":0."#);
    terminal.press(CTRL_D);
    assert_eq!(terminal.wait().code, Some(0));
}

#[test]
fn who_waits_for_a_server_can_leave_whatever_happens_meanwhile() {
    // Nothing listens; something listens and answers neither a request nor a TLS handshake.
    let absent = Port::reserve();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let states = [
        (format!("ws://{}/", absent.addr()), "again in"),
        (format!("ws://{silent}/"), "> "),
        (format!("wss://{silent}/"), "> "),
    ];
    for (url, shown) in states {
        for key in [CTRL_C, CTRL_D] {
            let mut terminal = at_terminal(&["connect", &url, "--reconnect"]);
            terminal.wait_until_shown(shown);
            terminal.press(key);
            let ended = terminal.wait();
            assert_eq!(ended.code, Some(3), "{url} {key:?}: {}", ended.shown);
        }
    }
}

#[test]
fn what_waits_for_a_connection_is_told_when_nobody_waits_any_more() {
    let absent = Port::reserve();
    let url = format!("ws://{}/", absent.addr());
    let mut terminal = at_terminal(&["connect", &url, "--reconnect"]);
    terminal.wait_until_shown("again in");
    terminal.press("unsent\r");
    terminal.press(CTRL_D);
    let ended = terminal.wait();
    assert!(ended.shown.contains("not sent: unsent"), "{}", ended.shown);
}

#[test]
fn a_server_that_does_not_close_is_not_waited_for_when_asked_twice() {
    for extra in [&[][..], &["--reconnect"]] {
        // It never answers the Close frame, and a limit of ours is 5 s.
        let (url, server) = say_and_hold(b"\x81\x05ready".to_vec());
        let mut terminal = at_terminal(&[&["connect", &url], extra].concat());
        terminal.wait_until_shown("< ready");
        terminal.press(CTRL_C);
        terminal.press(CTRL_C);
        let ended = terminal.wait();
        assert_eq!(ended.code, Some(1), "{}", ended.shown);
        assert!(ended.shown.contains("stopped at once"), "{}", ended.shown);
        drop(server);
    }
}

#[test]
fn signals_end_it_in_order_and_the_terminal_is_as_it_was() {
    let server = serve();
    let absent = Port::reserve();
    for signal in ["TERM", "HUP", "INT"] {
        for (url, shown, code) in [
            (server.ws("/echo"), "> ", 0),
            (format!("ws://{}/", absent.addr()), "again in", 3),
        ] {
            let mut terminal = at_terminal(&["connect", &url, "--reconnect", "--no-proxy"]);
            terminal.wait_until_shown(shown);
            terminal.wait_until_raw();
            if code == 0 {
                terminal.press("hello\r");
                terminal.wait_until_shown("< hello");
            }
            terminal.signal(signal);
            let ended = terminal.wait();
            assert_eq!(ended.code, Some(code), "{signal} {url}: {}", ended.shown);
            assert!(!ended.is_raw, "{signal} {url}");
        }
    }
}

#[test]
fn dialling_without_reconnect_leaves_ctrl_c_to_the_terminal() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", silent.local_addr().unwrap());
    let mut terminal = at_terminal(&["connect", &url]);
    // It has connected, and waits for an answer.
    let _stream = silent.accept().unwrap();
    terminal.press(CTRL_C);
    let ended = terminal.wait();
    assert_eq!(ended.code, None, "ended by the signal: {}", ended.shown);
}

#[test]
fn nothing_that_a_server_says_commands_the_terminal() {
    let evil = "\u{1b}]0;OWNED\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{2066}";
    let mut frames = vec![0x81, evil.len() as u8];
    frames.extend_from_slice(evil.as_bytes());
    frames.extend_from_slice(&[0x89, evil.len() as u8]);
    frames.extend_from_slice(evil.as_bytes());
    frames.extend_from_slice(&close_frame(4000, &format!("reason {evil}\nforged")));
    for extra in [&[][..], &["-v"], &["--binary"], &["--reconnect", "-v"]] {
        let (url, server) = say_and_end(frames.clone());
        let mut terminal = at_terminal(&[&["connect", &url], extra].concat());
        terminal.wait_until_shown("reason");
        terminal.press(CTRL_C);
        let shown = terminal.wait().shown;
        for hostile in [
            "\u{1b}]0",
            "\u{1b}[2J",
            "\u{9b}31m",
            "\u{202e}",
            "\u{2066}",
            "\nforged",
        ] {
            assert!(!shown.contains(hostile), "{extra:?} {hostile:?}: {shown:?}");
        }
        assert!(
            shown.contains(r"\u{1b}]0;OWNED\u{7}"),
            "{extra:?}: {shown:?}"
        );
        drop(server);
    }
}

#[test]
fn an_ending_is_told_once() {
    for (extra, told) in [
        (&[][..], "closed by the server: 4000 had enough"),
        (&["-v"], "< close 4000 had enough"),
    ] {
        let (url, server) = say_and_end(close_frame(4000, "had enough"));
        let terminal = at_terminal(&[&["connect", &url], extra].concat());
        let ended = terminal.wait();
        assert_eq!(ended.code, Some(1));
        assert!(ended.shown.contains(told), "{extra:?}: {}", ended.shown);
        let times = ended.shown.matches("had enough").count();
        assert_eq!(times, 1, "{extra:?}: {}", ended.shown);
        drop(server);
    }
}

#[test]
fn a_terminal_without_cursor_gets_plain_lines() {
    let server = serve();
    let directory = TempDir::new().unwrap();
    let mut command = sockeye(directory.path());
    command
        .args(["connect", &server.ws("/echo")])
        .env("TERM", "dumb");
    let mut terminal = Terminal::start(command, directory);
    terminal.press("hello\n");
    // Its echo, and the answer.
    terminal.wait_until_shown("hello\r\nhello\r\n");
    terminal.press(CTRL_D);
    let ended = terminal.wait();
    assert_eq!(ended.code, Some(0));
    assert!(!ended.shown.contains('\u{1b}'), "{:?}", ended.shown);
}

#[test]
fn a_measurement_ends_at_ctrl_c_in_each_of_its_phases() {
    let server = serve();
    let absent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("ws://{}/", absent.local_addr().unwrap());
    let bench = ["bench", "-c", "1", "-d", "1h"];
    for (url, options, shown) in [
        (silent.as_str(), &[][..], "connecting"),
        (&server.ws("/echo"), &["--warm-up", "1h"], "warming up"),
        (&server.ws("/echo"), &["--warm-up", "0s"], "round trips/s"),
    ] {
        let mut terminal = at_terminal(&[&bench[..], &[url], options].concat());
        terminal.wait_until_shown(shown);
        terminal.press(CTRL_C);
        let ended = terminal.wait();
        assert!(ended.code.is_some(), "{url} {options:?}: {}", ended.shown);
    }
}

#[test]
fn a_process_under_nohup_outlives_its_terminal() {
    let server = serve();
    let directory = TempDir::new().unwrap();
    let mut command: Command = support::program("sh", directory.path());
    let line = format!(
        "trap '' HUP; exec '{}' connect '{}'",
        env!("CARGO_BIN_EXE_sockeye"),
        server.ws("/echo")
    );
    command.args(["-c", &line]);
    let mut terminal = Terminal::start(command, directory);
    terminal.wait_until_shown("> ");
    terminal.press("one\r");
    terminal.wait_until_shown("< one");
    terminal.signal("HUP");
    terminal.press("two\r");
    terminal.wait_until_shown("< two");
    terminal.press(CTRL_D);
    assert_eq!(terminal.wait().code, Some(0));
}

// Issue 13, D.26.
#[test]
fn colours_are_for_terminals_that_can_show_them_when_nobody_objects() {
    for (name, value, has_colors) in [
        ("TERM", "xterm", true),
        ("NO_COLOR", "1", false),
        ("NO_COLOR", "", true),
        ("TERM", "dumb", false),
    ] {
        let directory = TempDir::new().unwrap();
        let mut command = sockeye(directory.path());
        // With a directory there is a line to log.
        command.args(["serve", "--listen", "127.0.0.1:0", "--data", "data"]);
        command
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .env(name, value);
        let mut terminal = Terminal::start(command, directory);
        terminal.wait_until_shown("twice stops at once");
        terminal.press(CTRL_C);
        let ended = terminal.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.shown);
        assert!(
            ended.shown.contains("what must last is kept"),
            "{}",
            ended.shown
        );
        assert_eq!(ended.shown.contains('\u{1b}'), has_colors, "{name}={value}");
    }
}
