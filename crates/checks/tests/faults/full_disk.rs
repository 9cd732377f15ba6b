//! A disk that is full under the log of channels: load balancers and dashboards hear of it, and of its end.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use sockeye_checks::{Server, let_pass};
use tempfile::TempDir;

/// A file system in memory of a few MiB.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts one, if this machine allows it.
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16m", "sockeye-small-disk"]);
        let mounted = mount.arg(directory.path()).output();
        if !mounted.as_ref().is_ok_and(|done| done.status.success()) {
            eprintln!("skipped: this machine mounts no file system for the test: {mounted:?}");
            return None;
        }
        Some(Self(directory))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all room that there is.
    fn fill(&self) {
        let mut file = fs::File::create(self.path().join("filler")).unwrap();
        let error = loop {
            if let Err(error) = file.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }

    fn free(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server may still have files open.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Sends a request and returns the status and the body.
fn http(server: &Server, request: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: hub\r\nX-API-Key: s3cret\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let status = response.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = response.split_once("\r\n\r\n").unwrap();
    (status, body.to_owned())
}

/// Publishes a kilobyte, and returns the answer.
fn publish(server: &Server) -> Value {
    let data = "x".repeat(1024);
    let body = json!({ "channel": "news", "data": data }).to_string();
    let (status, answer) = http(server, "POST /api/publish", &body);
    assert_eq!(status, 200);
    serde_json::from_str(&answer).unwrap()
}

fn metric(server: &Server, name: &str) -> f64 {
    let (_, text) = http(server, "GET /metrics", "");
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.expect(name).parse().unwrap()
}

#[test]
fn a_full_disk_is_told_until_there_is_room_again() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let data = disk.path().to_str().unwrap();
    let options = [
        ["--data", data],
        ["--http-api-key", "s3cret"],
        ["--prometheus-enabled", "on"],
        ["--channel-without-namespace-history-size", "1000"],
        ["--channel-without-namespace-history-ttl", "1h"],
    ];
    let Some(server) = Server::start(&options.concat()) else {
        return;
    };
    assert_eq!(publish(&server)["result"]["offset"], 1);
    assert_eq!(http(&server, "GET /health/ready", "").0, 200);
    assert_eq!(metric(&server, "sockeye_log_failing"), 0.0);

    disk.fill();
    let refused = loop {
        // What is left in a page that has begun may take some.
        let answer = publish(&server);
        if answer["result"].is_null() {
            break answer;
        }
    };
    assert_eq!(refused["error"]["code"], 100);
    let why = "the log of channels can't be written: the disk of the log is full\n";
    let ready = http(&server, "GET /health/ready", "");
    assert_eq!(ready, (503, why.to_owned()));
    assert_eq!(http(&server, "GET /health/live", "").0, 200);
    assert_eq!(metric(&server, "sockeye_log_failing"), 1.0);
    assert!(metric(&server, "sockeye_log_failures_total") >= 1.0);

    // Nobody publishes now.
    disk.free();
    while http(&server, "GET /health/ready", "").0 != 200 {
        let_pass(Duration::from_millis(100));
    }
    assert_eq!(metric(&server, "sockeye_log_failing"), 0.0);
    let (_, history) = http(
        &server,
        "POST /api/history",
        r#"{"channel":"news","limit":-1}"#,
    );
    let history: Value = serde_json::from_str(&history).unwrap();
    let offset = history["result"]["offset"].as_u64().unwrap();
    let publications = history["result"]["publications"].as_array().unwrap();
    assert_eq!(publications.len() as u64, offset, "none is missing");
    assert_eq!(publish(&server)["result"]["offset"], offset + 1);
}
