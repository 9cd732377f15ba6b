//! Links that are long, slow and lossy. A peer whose bytes are on their way isn't given up, one that is gone is noticed,
//! and no connection waits for another one's link.

use std::{
    fs,
    io::Write as _,
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use serde_json::Value;
use sockeye::{ClientTls, Connect, Http2, Settings, WebSocket, connect};
use sockeye_checks::{Certificate, Network, Place, Process, Server, Shape, need, sockeye};

use crate::support::{BOUND, GIVEN_UP, HEARTBEAT, NO_HEARTBEAT, Stopwatch, serve_command};

/// Bytes in a second.
const KIB: u64 = 1 << 10;

/// A limit that only a failure reaches: a mebibyte takes a minute here.
const LIMIT: Duration = Duration::from_secs(400);

struct Fixture {
    network: Network,
    server: Server,
}

fn start(shape: Shape, flags: &[&str]) -> Option<Fixture> {
    let network = Network::shaped(shape)?;
    let command = serve_command(network.address(Place::Server), flags)?;
    let command = network.command(Place::Server, &command);
    let server = Server::start_command(command, LIMIT);
    Some(Fixture { network, server })
}

impl Fixture {
    fn talk<T: Send>(&self, place: Place, conversation: impl AsyncFnOnce() -> T + Send) -> T {
        talk(&self.network, place, conversation)
    }

    /// Starts `sockeye connect` at the client's place.
    fn client(&self, flags: &[&str]) -> Option<Process> {
        let url = self.server.url("/echo");
        let command = sockeye("connect", &[&[&*url], flags].concat())?;
        let mut command = self.network.command(Place::Client, &command);
        Some(Process::start("sockeye connect", &mut command, LIMIT))
    }

    /// Stops the server, and asserts that it has given up no connection.
    fn assert_gave_nobody_up(self) {
        let stopped = self.server.stop();
        for lapse in [GIVEN_UP, READS_NOTHING] {
            let transcript = stopped.transcript();
            assert!(!transcript.contains(lapse), "{transcript}");
        }
    }
}

/// Runs a conversation from a place, in a thread of its own.
fn talk<T: Send>(
    network: &Network,
    place: Place,
    conversation: impl AsyncFnOnce() -> T + Send,
) -> T {
    thread::scope(|scope| {
        let talk = scope.spawn(move || {
            network.enter(place);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let talk = tokio::time::timeout(LIMIT, conversation());
                talk.await.expect("an end")
            })
        });
        talk.join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The server's log text for a peer that took nothing.
const READS_NOTHING: &str = "(reads nothing)";

async fn assert_echoes(mut websocket: WebSocket, bytes: usize) {
    websocket.send(vec![7; bytes]).await.unwrap();
    let echo = websocket.recv().await.unwrap().expect("the echo");
    assert_eq!(echo.len(), bytes);
}

/// The heartbeat has its default settings.
#[test]
fn a_mebibyte_comes_back_over_16_kib_a_second() {
    let certificate = Certificate::new();
    let (chain, key) = (certificate.chain(), certificate.key());
    let root = fs::read(&chain).unwrap();
    let over_tls = ["--tls-cert", &chain, "--tls-key", &key];
    let (root, over_tls) = (&root, &over_tls[..]);
    thread::scope(|scope| {
        for way in [Way::Plain, Way::Tls, Way::Http2] {
            scope.spawn(move || {
                let flags = match way {
                    Way::Plain => &[],
                    Way::Tls | Way::Http2 => over_tls,
                };
                let Some(fixture) = start(Shape::slow(300 * KIB, 16 * KIB), flags) else {
                    return;
                };
                let dial = way.dial(connect(fixture.server.url("/echo")), root);
                fixture.talk(Place::Client, async || {
                    assert_echoes(dial.await.unwrap(), 1 << 20).await;
                });
                fixture.assert_gave_nobody_up();
            });
        }
    });
}

/// The transport under a WebSocket.
#[derive(Clone, Copy)]
enum Way {
    Plain,
    Tls,
    Http2,
}

impl Way {
    fn dial(self, dial: Connect, root: &[u8]) -> Connect {
        if let Self::Plain = self {
            return dial;
        }
        let tls = ClientTls::new().roots_only(root).unwrap();
        let dial = dial.tls(tls.server_name("localhost").unwrap());
        match self {
            Self::Http2 => dial.http2(Http2::Auto),
            _ => dial,
        }
    }
}

#[test]
fn an_upload_is_not_given_up_by_its_client() {
    const LINES: usize = 2000;
    let shape = Shape::slow(100 * KIB, 300 * KIB);
    let Some(fixture) = start(shape, &HEARTBEAT) else {
        return;
    };
    let flags = [&HEARTBEAT[..], &["--binary", "--wait", "20s"]].concat();
    let Some(mut client) = fixture.client(&flags) else {
        return;
    };
    let line = "x".repeat(999);
    for _ in 0..LINES {
        client.write_line(&line);
    }
    client.end_input();
    let ended = client.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let echoed: usize = ended.out().iter().map(|line| line.len() + 1).sum();
    assert_eq!(echoed, LINES * 1000);
    fixture.assert_gave_nobody_up();
}

#[test]
fn who_vanishes_is_noticed_in_the_middle_of_a_download_too() {
    let Some(mut fixture) = start(Shape::slow(300 * KIB, 64 * KIB), &HEARTBEAT) else {
        return;
    };
    let url = fixture.server.url("/echo");
    let mut settings = Settings::default();
    settings.heartbeat = None;
    let (under_way, begun) = std::sync::mpsc::channel();
    let (noticed, end) = tokio::sync::oneshot::channel::<()>();
    let Fixture { network, server } = &mut fixture;
    thread::scope(|scope| {
        let network = &*network;
        scope.spawn(move || {
            talk(network, Place::Client, async || {
                let mut idle = connect(&url).settings(settings.clone()).await.unwrap();
                idle.send("hi").await.unwrap();
                idle.recv().await.unwrap().expect("the echo");
                let loading = connect(&url).settings(settings).await.unwrap();
                loading.send(vec![7; 1 << 20]).await.unwrap();
                // The message is on its way.
                tokio::time::sleep(Duration::from_secs(8)).await;
                under_way.send(()).unwrap();
                end.await.unwrap();
            });
        });
        begun.recv().unwrap();
        let stopwatch = Stopwatch::start();
        network.cut();
        for which in ["first", "second"] {
            server.process().wait_for_text(GIVEN_UP);
            // Twice as long as a peer may be silent, since it may have been busy with earlier messages.
            let what = format!("a line that is cut, by the server, the {which} of two");
            stopwatch.noticed(&what, BOUND + BOUND / 2);
        }
        noticed.send(()).unwrap();
    });
}

#[test]
fn who_reads_slowly_is_not_taken_for_one_who_reads_nothing() {
    let flags = [&NO_HEARTBEAT[..], &["--progress-timeout", "3s"]].concat();
    let Some(fixture) = start(Shape::slow(300 * KIB, 16 * KIB), &flags) else {
        return;
    };
    let url = fixture.server.url("/echo");
    fixture.talk(Place::Client, async || {
        assert_echoes(connect(url).await.unwrap(), 384 << 10).await;
    });
    fixture.assert_gave_nobody_up();
}

#[test]
fn who_reads_nothing_is_cut() {
    let flags = [&NO_HEARTBEAT[..], &["--progress-timeout", "3s"]].concat();
    let Some(mut fixture) = start(Shape::slow(300 * KIB, 300 * KIB), &flags) else {
        return;
    };
    let address = (
        fixture.network.address(Place::Server),
        fixture.server.port(),
    );
    thread::scope(|scope| {
        let network = &fixture.network;
        scope.spawn(move || {
            network.enter(Place::Client);
            let mut deaf = TcpStream::connect(address).unwrap();
            deaf.write_all(REQUEST.as_bytes()).unwrap();
            let frame = [&b"\x82\xfe\xff\xff\0\0\0\0"[..], &[7; 65_535]].concat();
            // Until the server has closed the connection.
            while deaf.write_all(&frame).is_ok() {}
        });
        let server = fixture.server.process();
        server.wait_for_text(READS_NOTHING);
    });
}

const REQUEST: &str = "GET /echo HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

#[test]
fn who_was_cut_off_comes_back() {
    let Some(fixture) = start(Shape::slow(64 * KIB, 64 * KIB), &HEARTBEAT) else {
        return;
    };
    let flags = [&HEARTBEAT[..], &["--reconnect"]].concat();
    let Some(mut client) = fixture.client(&flags) else {
        return;
    };
    client.write_line("before");
    client.wait_for_text("before");
    fixture.network.cut();
    client.wait_for_text("no sign of life");
    fixture.network.mend();
    client.write_line("after");
    client.wait_for_text("after");
}

#[test]
fn nobody_waits_for_a_member_with_a_slow_line() {
    assert_nobody_waits_for_a_slow_member(Way::Plain);
}

/// Over HTTP/2 the outbox is one of many that share a connection.
#[test]
fn nobody_waits_for_a_member_with_a_slow_line_over_http2() {
    assert_nobody_waits_for_a_slow_member(Way::Http2);
}

fn assert_nobody_waits_for_a_slow_member(way: Way) {
    const MESSAGES: usize = 20;
    let certificate = Certificate::new();
    let (chain, key) = (certificate.chain(), certificate.key());
    let root = &fs::read(&chain).unwrap();
    let over_tls = ["--tls-cert", &chain, "--tls-key", &key];
    let flags = match way {
        Way::Plain => &[],
        Way::Tls | Way::Http2 => &over_tls[..],
    };
    let Some(fixture) = start(Shape::slow(64 * KIB, 16 * KIB), flags) else {
        return;
    };
    let url = &fixture.server.url("/websocket/ws");
    let (slow_has, here) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
    let network = &fixture.network;
    thread::scope(|scope| {
        scope.spawn(move || {
            talk(network, Place::Client, async || {
                let mut slow = way.dial(connect(url), root).await.unwrap();
                here.fetch_add(1, Ordering::SeqCst);
                for _ in 0..MESSAGES {
                    let message = slow.recv().await.unwrap().expect("a message");
                    assert_eq!(message.len(), 16 << 10);
                    slow_has.fetch_add(1, Ordering::SeqCst);
                }
            });
        });
        scope.spawn(move || {
            talk(network, Place::Server, async || {
                let mut fast = way.dial(connect(url), root).await.unwrap();
                while here.load(Ordering::SeqCst) == 0 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                for _ in 0..MESSAGES {
                    fast.send(vec![7; 16 << 10]).await.unwrap();
                    fast.recv().await.unwrap().expect("its own message");
                }
            });
            let slow_has = slow_has.load(Ordering::SeqCst);
            println!("the fast one has {MESSAGES} messages, the slow one {slow_has}");
            assert!(slow_has < MESSAGES);
        });
    });
    assert_eq!(slow_has.load(Ordering::SeqCst), MESSAGES);
    fixture.assert_gave_nobody_up();
}

/// Sends the client for browsers `count` messages of `bytes` over 16 KiB a second, and returns why it gave up connections
/// meanwhile. `None` if this machine can't tell.
fn browsers_client(count: usize, bytes: usize, heartbeat_ms: Option<u64>) -> Option<Vec<String>> {
    let node = need::client("test/e2e/slow-line.ts")?;
    let fixture = start(Shape::slow(300 * KIB, 16 * KIB), &[])?;
    let mut command = fixture.network.command(Place::Client, &node);
    command.args([
        fixture.server.url("/echo"),
        count.to_string(),
        bytes.to_string(),
    ]);
    command.args(heartbeat_ms.map(|ms| ms.to_string()));
    let ended = Process::start("the client for browsers", &mut command, LIMIT).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let fact = ended.out().last().expect("a line").to_string();
    println!("{count} messages of {bytes} bytes: {fact}");
    let fact: Value = serde_json::from_str(&fact).expect("JSON");
    assert_eq!(fact["came"], count);
    let causes = fact["ended"].as_array().expect("a list").iter();
    Some(causes.map(ToString::to_string).collect())
}

#[test]
fn a_browsers_client_does_not_give_up_its_own_download() {
    // The heartbeat's answers come a minute late, behind the messages.
    if let Some(causes) = browsers_client(48, 16 << 10, Some(4_000)) {
        assert_eq!(causes, [""; 0]);
    }
}

/// The heartbeat has its default settings. A browser doesn't tell a page how much of a message has arrived.
#[test]
fn a_browsers_client_waits_for_one_long_message() {
    if let Some(causes) = browsers_client(1, 320 << 10, None) {
        assert_eq!(causes, [""; 0]);
    }
}

#[test]
fn a_browsers_client_that_has_given_up_a_long_message_waits_longer_for_it_the_next_time() {
    if let Some(causes) = browsers_client(1, 320 << 10, Some(4_000)) {
        // It needs more than 20 seconds, and is given 8, 12, 20 and 36, or all the time from the second time on.
        assert!((1..=3).contains(&causes.len()), "{causes:?}");
        assert!(
            causes.iter().all(|cause| cause == "\"heartbeat\""),
            "{causes:?}"
        );
    }
}
