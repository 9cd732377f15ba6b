//! A server that has ended leaves no threads, descriptors or memory. These concern a whole process, so each test runs
//! in one of its own.

#![cfg(target_os = "linux")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream as StdTcpStream,
    process::{Command, Stdio},
    time::Duration,
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use sockeye::{Server, ServerTls};
use tokio::{io::AsyncWriteExt as _, runtime::Builder, task::JoinSet};

use crate::support::{Echo, assert_echoes, connect, echo_server, open, read_head, request, soon};

/// Runs the ignored test `name` of this file in a process of its own.
fn run(name: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

/// Returns the number of worker threads in this process.
fn workers() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok())
        .filter(|name| name.starts_with("sockeye-worker"))
        .count()
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

async fn until(is_so: impl Fn() -> bool) {
    soon(async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[test]
fn server_that_is_dropped_leaves_no_thread_and_no_descriptor() {
    run("remains::child_that_starts_and_drops_servers");
}

#[ignore = "run by server_that_is_dropped_leaves_no_thread_and_no_descriptor, in a process of its own"]
#[tokio::test]
async fn child_that_starts_and_drops_servers() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut before = 0;
    for round in 0..100 {
        let tls = ServerTls::from_pem(cert.pem(), signing_key.serialize_pem()).unwrap();
        let server = Server::bind("127.0.0.1:0")
            .workers(3)
            .listen_tls("127.0.0.1:0", tls)
            .route("/echo", |_request| Ok(Echo))
            .start()
            .await
            .unwrap();
        let (plain, tls) = (server.local_addrs()[0], server.local_addrs()[1]);
        let (mut websocket, _) = open(plain, "/echo", &[]).await;
        assert_echoes(&mut websocket, "hi").await;
        // Some connections send no request, and one answers no Close frame.
        let silent = (connect(plain).await, connect(tls).await);
        let mut deaf = connect(plain).await;
        deaf.write_all(request("/echo", &[]).as_bytes())
            .await
            .unwrap();
        read_head(&mut deaf).await;
        drop(server);
        while let Ok(Some(_)) = soon(websocket.recv()).await {}
        drop((websocket, silent, deaf));
        if round == 0 {
            until(|| workers() == 0).await;
            before = descriptors();
        }
    }
    until(|| workers() == 0).await;
    until(|| descriptors() <= before).await;
}

#[test]
fn workers_end_after_their_runtime() {
    run("remains::child_whose_runtime_goes_first");
}

#[ignore = "run by workers_end_after_their_runtime, in a process of its own"]
#[test]
fn child_whose_runtime_goes_first() {
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    let server = runtime.block_on(echo_server().workers(2).start()).unwrap();
    let addr = server.local_addrs()[0];
    let mut peers = Vec::new();
    for _ in 0..4 {
        let mut peer = StdTcpStream::connect(addr).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        peer.write_all(request("/echo", &[]).as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            peer.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        peers.push(peer);
    }
    drop(runtime);
    // A worker needs no runtime. Connections that need one are lost.
    for peer in &mut peers {
        peer.write_all(b"\x82\x80\0\0\0\0").unwrap();
        let mut echo = [0; 2];
        peer.read_exact(&mut echo).unwrap();
        assert_eq!(echo, [0x82, 0]);
    }
    let mut stranger = StdTcpStream::connect(addr).unwrap();
    stranger
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stranger
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let _ = stranger.read_to_end(&mut Vec::new());
    drop(server);
    for peer in &mut peers {
        let mut close = [0; 4];
        peer.read_exact(&mut close).unwrap();
        assert_eq!(close, [0x88, 2, 0x03, 0xe9]);
        peer.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9])
            .unwrap();
        assert_eq!(peer.read(&mut close).unwrap(), 0);
    }
    drop(peers);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(until(|| workers() == 0));
}

#[test]
fn ten_thousand_sessions_that_are_reset_leave_nothing() {
    run("remains::child_of_many_resets");
}

#[ignore = "run by ten_thousand_who_open_and_reset_leave_nothing, in a process of its own"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_of_many_resets() {
    const PEERS: usize = 4;
    const OPENS: usize = 1250;
    let mut settings = sockeye::Settings::default();
    settings.limits.handshake_timeout = Duration::from_secs(1);
    let server = echo_server().settings(settings).start().await.unwrap();
    let addr = server.local_addrs()[0];
    let mut resident = Vec::new();
    for _ in 0..2 {
        let mut peers = JoinSet::new();
        for peer in 0..PEERS {
            peers.spawn(async move {
                for number in 0..OPENS {
                    let mut stream = connect(addr).await;
                    let bytes = request("/echo", &[]);
                    match (peer + number) % 4 {
                        0 => {}
                        1 => stream.write_all(&bytes.as_bytes()[..50]).await.unwrap(),
                        _ => {
                            stream.write_all(bytes.as_bytes()).await.unwrap();
                            read_head(&mut stream).await;
                        }
                    }
                    stream.set_zero_linger().unwrap();
                }
            });
        }
        while let Some(peer) = peers.join_next().await {
            peer.unwrap();
        }
        until(|| (server.sessions(), server.connections()) == (0, 0)).await;
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        resident.push(kib.unwrap().parse::<usize>().unwrap());
    }
    // KiB. The second half of the sessions takes the memory that the first half has freed.
    assert!(resident[1] < resident[0] + 1024, "{resident:?}");
}
