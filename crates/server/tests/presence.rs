//! `/api/presence` of the real server: which clients are online, in memory and in a file that survives `kill -9`.

mod support;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use support::{Server, program, run_in};
use tempfile::TempDir;

const KEY: &str = "s3cret";

fn start(arguments: &[&str]) -> Server {
    let arguments = [&["--listen", "127.0.0.1:0", "--api-key", KEY], arguments].concat();
    Server::start(&arguments)
}

/// Returns the status and the JSON of an answer.
fn ask(server: &Server, path: &str) -> (u16, Value) {
    let answer = server.http(&format!("GET {path} HTTP/1.1\r\nX-API-Key: {KEY}\r\n\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("application/json"), "{answer}");
    let status = head[9..12].parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

/// Asks again and again until `is_it` says so.
#[track_caller]
fn ask_until(server: &Server, path: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (_, body) = ask(server, path);
        if is_it(&body) {
            return body;
        }
        assert!(Instant::now() < deadline, "{path} stays {body}");
    }
}

/// An open WebSocket that the test doesn't read; its client leaves when it is dropped.
struct Guest {
    _stream: TcpStream,
}

impl Guest {
    fn come(server: &Server, path: &str, fields: &str) -> Self {
        let mut stream = TcpStream::connect(&server.addrs[0]).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n",
            server.addrs[0]
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{head:?}");
        Self { _stream: stream }
    }
}

/// Returns what the machine's clock says.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

#[test]
fn a_client_is_here_from_its_first_device_to_its_last() {
    let server = start(&[]);
    let began = now_ms();
    assert_eq!(ask(&server, "/api/presence/ann").0, 404);

    let laptop = Guest::come(&server, "/echo?client_id=ann", "");
    ask_until(&server, "/api/presence/ann", |body| body["online"] == true);
    let phone = Guest::come(&server, "/websocket/ws", "Cookie: client_id=ann\r\n");
    let body = ask_until(&server, "/api/presence/ann", |body| {
        body["devices"].as_array().unwrap().len() == 2
    });
    assert_eq!(body["client"], "ann");
    assert_eq!(body["devices"][0]["device"], "echo");
    assert_eq!(body["devices"][1]["device"], "room");
    let since = body["since_ms"].as_u64().unwrap();
    assert!((began..=now_ms()).contains(&since), "{body}");

    drop(laptop);
    let body = ask_until(&server, "/api/presence/ann", |body| {
        body["devices"].as_array().unwrap().len() == 1
    });
    assert_eq!(
        (&body["online"], &body["since_ms"]),
        (&true.into(), &since.into())
    );
    drop(phone);
    let body = ask_until(&server, "/api/presence/ann", |body| body["online"] == false);
    assert!(body["since_ms"].is_null());
    let last_seen = body["last_seen_ms"].as_u64().unwrap();
    assert!((since..=now_ms()).contains(&last_seen), "{body}");
    assert_eq!(ask(&server, "/api/presence").1["count"], 0);
}

#[test]
fn whoever_names_nobody_is_not_tracked() {
    let server = start(&[]);
    let _anonymous = Guest::come(&server, "/echo", "");
    let _empty = Guest::come(&server, "/echo?client_id=", "");
    let _named = Guest::come(&server, "/echo?client_id=ann", "");
    let body = ask_until(&server, "/api/presence", |body| body["count"] == 1);
    assert_eq!(body["clients"][0]["client"], "ann");
    assert_eq!(body["clients"][0]["devices"], 1);
    assert!(
        body["next"].is_null() && body["store_trouble"].is_null(),
        "{body}"
    );
}

#[test]
fn the_list_comes_in_pages_and_names_may_be_anything() {
    let server = start(&[]);
    let names = ["a%2Fb", "bob", "changes", "%E7%94%A8%E6%88%B7", "x%20y"];
    let guests = names.map(|name| Guest::come(&server, &format!("/echo?client_id={name}"), ""));
    ask_until(&server, "/api/presence", |body| {
        body["count"] == guests.len()
    });
    let mut found = Vec::new();
    let mut path = "/api/presence?limit=2".to_owned();
    loop {
        let (_, body) = ask(&server, &path);
        let clients = body["clients"].as_array().unwrap().clone();
        found.extend(
            clients
                .iter()
                .map(|listed| listed["client"].as_str().unwrap().to_owned()),
        );
        let Some(next) = body["next"].as_str() else {
            break;
        };
        assert_eq!(clients.len(), 2);
        let next: String = next.bytes().map(|byte| format!("%{byte:02X}")).collect();
        path = format!("/api/presence?limit=2&after={next}");
    }
    assert_eq!(found, ["a/b", "bob", "changes", "x y", "用户"]);
    for name in ["a%2Fb", "%63hanges", "%E7%94%A8%E6%88%B7", "x%20y"] {
        let (status, body) = ask(&server, &format!("/api/presence/{name}"));
        assert_eq!((status, &body["online"]), (200, &true.into()), "{name}");
    }
}

#[test]
fn errors_are_json_and_say_what_is_allowed() {
    let server = start(&[]);
    let (status, body) = ask(&server, "/api/presence?limit=0");
    assert_eq!(
        (status, &body["error"]["code"]),
        (400, &"bad_parameter".into())
    );
    for not_utf8 in ["/api/presence?after=%ff", "/api/presence/%ff"] {
        let (status, body) = ask(&server, not_utf8);
        let error = &body["error"];
        assert_eq!((status, &error["code"]), (400, &"bad_parameter".into()));
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("not UTF-8"), "{message}");
    }
    let (status, body) = ask(&server, "/api/presence/nobody");
    assert_eq!(
        (status, &body["error"]["code"]),
        (404, &"unknown_client".into())
    );
    for path in [
        "/api/presence",
        "/api/presence/ann",
        "/api/presence/changes",
    ] {
        let answer = server.http(&format!("GET {path} HTTP/1.1\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        let answer = server.http(&format!(
            "DELETE {path} HTTP/1.1\r\nX-API-Key: {KEY}\r\n\r\n"
        ));
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        assert!(answer.contains("wrong_method"), "{answer}");
    }
}

#[test]
fn changes_are_told_as_they_happen_and_end_with_the_server() {
    let server = start(&[]);
    let mut stream = TcpStream::connect(&server.addrs[0]).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host = &server.addrs[0];
    let request =
        format!("GET /api/presence/changes HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {KEY}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let mut until = |text: &str| {
        let line = lines.find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("the stream ended before {text:?}"))
    };
    until("text/event-stream");
    until("event: ready");
    let guest = Guest::come(&server, "/echo?client_id=ann", "");
    until("event: online");
    assert!(until("data: ").contains("\"client\":\"ann\",\"at_ms\":"));
    drop(guest);
    until("event: offline");
    // A reader doesn't hold the server's end up.
    server.signal("TERM");
    let (status, stderr) = server.wait();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("drained, 0 closed"), "{stderr}");
    assert_eq!(lines.last().as_deref(), Some(""), "the stream ends whole");
}

#[test]
fn after_an_orderly_restart_last_seen_times_are_there() {
    let data = TempDir::new().unwrap();
    let path = data.path().to_str().unwrap();
    let server = start(&["--data", path]);
    drop(Guest::come(&server, "/echo?client_id=ann", ""));
    let body = ask_until(&server, "/api/presence/ann", |body| body["online"] == false);
    let _stays = Guest::come(&server, "/echo?client_id=bob", "");
    ask_until(&server, "/api/presence/bob", |body| body["online"] == true);
    server.signal("TERM");
    let ended = now_ms();
    let (status, stderr) = server.wait();
    assert_eq!(status.code(), Some(0), "{stderr}");

    let server = start(&["--data", path]);
    assert_eq!(ask(&server, "/api/presence").1["count"], 0);
    assert_eq!(ask(&server, "/api/presence/ann").1, body);
    let (_, bob) = ask(&server, "/api/presence/bob");
    assert_eq!(bob["online"], false);
    assert!(bob["last_seen_ms"].as_u64().unwrap() >= ended, "{bob}");
}

#[test]
fn after_a_kill_nobody_is_shown_who_is_not_here_and_last_seen_is_recent() {
    let data = TempDir::new().unwrap();
    let path = data.path().to_str().unwrap();
    let server = start(&["--data", path]);
    let _ann = Guest::come(&server, "/echo?client_id=ann", "");
    drop(Guest::come(&server, "/echo?client_id=bob", ""));
    let bob = ask_until(&server, "/api/presence/bob", |body| body["online"] == false);
    // As long as the store takes to keep what was, and to say again that it lives.
    let begun = now_ms();
    ask_until(&server, "/api/presence", |_| {
        now_ms() > begun + 3 * FLUSH_MS
    });
    server.signal("KILL");
    let killed = now_ms();
    server.wait();

    let server = start(&["--data", path]);
    let (_, list) = ask(&server, "/api/presence");
    assert_eq!(list["count"], 0, "{list}");
    assert_eq!(ask(&server, "/api/presence/bob").1, bob);
    let (_, ann) = ask(&server, "/api/presence/ann");
    assert_eq!(ann["online"], false);
    let last_seen = ann["last_seen_ms"].as_u64().unwrap();
    let oldest = killed - FLUSH_MS - WRITE_MS_MAX;
    assert!(
        (oldest..=killed).contains(&last_seen),
        "{last_seen} {killed}"
    );
}

#[test]
fn a_store_of_another_server_is_one_line_and_exit_code_2() {
    let data = TempDir::new().unwrap();
    let path = data.path().to_str().unwrap();
    let _server = start(&["--data", path]);
    let second = run_in(
        data.path(),
        &["--listen", "127.0.0.1:0", "--data", path],
        &[],
    );
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    let line = second.stderr.lines().last().unwrap();
    assert!(line.starts_with("sockeye: --data "), "{line}");
    assert!(line.contains("in use by another process"), "{line}");
}

#[test]
fn a_client_that_is_here_has_a_device_that_is_listed() {
    let server = start(&[]);
    let mut devices: Vec<Guest> = (0..70)
        .map(|_| Guest::come(&server, "/echo?client_id=many", ""))
        .collect();
    let listed = |body: &Value| body["devices"].as_array().unwrap().len();
    ask_until(&server, "/api/presence/many", |body| listed(body) == 64);
    ask_until(&server, "/api/presence", |body| {
        body["clients"][0]["devices"] == 70
    });
    devices.drain(..69);
    let body = ask_until(&server, "/api/presence/many", |body| listed(body) < 2);
    assert_eq!((&body["online"], listed(&body)), (&true.into(), 1));
}

#[cfg(unix)]
#[test]
fn what_is_kept_is_its_owners_alone_also_where_the_directory_is_open() {
    use std::{fs, os::unix::fs::PermissionsExt as _};
    let parent = TempDir::new().unwrap();
    let (data, victim) = (parent.path().join("data"), parent.path().join("victim"));
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(&victim, "precious\n").unwrap();
    std::os::unix::fs::symlink(&victim, data.join(".sockeye-can-write-here")).unwrap();
    // As an earlier version left it.
    fs::write(data.join("chat.redb"), "").unwrap();
    fs::set_permissions(data.join("chat.redb"), fs::Permissions::from_mode(0o644)).unwrap();
    let server = start(&["--data", data.to_str().unwrap()]);
    for name in ["chat.redb", "presence.redb", "sockeye.lock"] {
        let mode = fs::metadata(data.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious\n");
    server.signal("TERM");
    let (_, stderr) = server.wait();
    assert!(stderr.contains("other users may look into"), "{stderr}");

    // And where a file should be, a link is refused by its name.
    for name in ["chat.redb", "presence.redb"] {
        fs::remove_file(data.join(name)).unwrap();
        std::os::unix::fs::symlink(&victim, data.join(name)).unwrap();
        let run = run_in(
            parent.path(),
            &["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()],
            &[],
        );
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        let line = run.stderr.lines().last().unwrap();
        assert!(
            line.contains(name) && line.contains("symbolic link"),
            "{line}"
        );
        fs::remove_file(data.join(name)).unwrap();
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious\n");
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_takes_nothing_more_is_said_once_and_stops_nothing() {
    let (data, directory) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    // With the signal ignored, a write beyond the limit for files fails as one on a full disk does.
    let script = "trap '' XFSZ; exec \"$0\" \"$@\"";
    let mut command = program("sh", directory.path());
    command.args(["-c", script, env!("CARGO_BIN_EXE_sockeye")]);
    command.args(["--listen", "127.0.0.1:0", "--api-key", KEY, "--data"]);
    command.arg(data.path());
    let server = Server::start_command(command, directory);
    let ann = Guest::come(&server, "/echo?client_id=ann", "");
    ask_until(&server, "/api/presence", |body| body["count"] == 1);

    limit_files(&server, Some(0));
    let body = ask_until(&server, "/api/presence", |body| {
        body["store_trouble"].is_string()
    });
    let trouble = body["store_trouble"].as_str().unwrap();
    assert!(
        trouble.contains("presence.redb can't be written: "),
        "{trouble}"
    );
    // Clients come and go as before.
    drop(ann);
    ask_until(&server, "/api/presence/ann", |body| body["online"] == false);
    let _bob = Guest::come(&server, "/echo?client_id=bob", "");
    ask_until(&server, "/api/presence/bob", |body| body["online"] == true);

    limit_files(&server, None);
    ask_until(&server, "/api/presence", |body| {
        body["store_trouble"].is_null()
    });
    let (_, ann) = ask(&server, "/api/presence/ann");
    server.signal("TERM");
    let (status, stderr) = server.wait();
    assert_eq!(status.code(), Some(0), "{stderr}");
    let told = |text: &str| stderr.lines().filter(|line| line.contains(text)).count();
    assert_eq!(told("presence continues without its store"), 1, "{stderr}");
    assert_eq!(told("the presence store works again"), 1, "{stderr}");

    // What happened meanwhile is not lost.
    let server = start(&["--data", data.path().to_str().unwrap()]);
    assert_eq!(ask(&server, "/api/presence/ann").1, ann);
}

/// Sets how long a file of the server may become from now on.
#[cfg(target_os = "linux")]
fn limit_files(server: &Server, bytes: Option<u64>) {
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
    let process = Pid::from_raw(i32::try_from(server.process_id()).unwrap());
    let limit = Rlimit {
        current: bytes,
        maximum: getrlimit(Resource::Fsize).maximum,
    };
    prlimit(process, Resource::Fsize, limit).unwrap();
}

/// Only a failure reaches it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Milliseconds between two writes of the store, as its documentation says.
const FLUSH_MS: u64 = 1000;

/// Milliseconds. What a write may take where all cores and the disk are busy.
const WRITE_MS_MAX: u64 = 8000;
