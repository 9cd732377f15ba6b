//! Clients of SockJS that take more than they should, and a server that is killed under them: the others are served.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use sockeye_checks::{Browser, Server, let_pass};

use crate::sockjs::{address, client_script};

/// An answer: status and body.
type Answer = (u16, String);

/// Connects from an address of this machine, which all begin with 127. The kernel keeps little for the client, so that one that
/// doesn't read is noticed soon.
fn connect_from(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let from = SocketAddr::from((Ipv4Addr::from(from), 0));
    socket.bind(&from.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

fn write_post(mut stream: &TcpStream, path: &str, body: &[u8]) {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    // A server that refuses a large body need not read it.
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
}

/// Reads an answer until its end.
fn answer_of(mut stream: &TcpStream) -> Answer {
    let mut answer = Vec::new();
    // A refused body that was not read makes the end a reset.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head[9..12].parse().expect("a status"), body.to_owned())
}

fn post_from(from: [u8; 4], to: SocketAddr, path: &str, body: &[u8]) -> Answer {
    let stream = connect_from(from, to);
    write_post(&stream, path, body);
    answer_of(&stream)
}

fn post(to: SocketAddr, path: &str, body: &str) -> Answer {
    post_from(LOOPBACK, to, path, body.as_bytes())
}

const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

/// Reads from a response until it has had a text.
fn read_until(mut stream: &TcpStream, text: &str) -> String {
    let mut seen = String::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the end before {text:?}: {} bytes", seen.len());
        // What is new may end the text that is looked for.
        let from = seen.len().saturating_sub(text.len());
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
        if seen[from..].contains(text) {
            return seen;
        }
    }
}

/// The body of a streaming response.
struct Streamed {
    reader: BufReader<TcpStream>,
    /// What has come and wasn't waited for.
    body: String,
}

impl Streamed {
    /// Reads the head.
    fn new(stream: TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert!(reader.read_line(&mut line).unwrap() > 0, "no head");
        }
        let body = String::new();
        Self { reader, body }
    }

    /// Reads until `text` has come. Nothing but heartbeats may come before it.
    fn wait_for(&mut self, text: &str) {
        while !self.body.contains(text) {
            let mut size = String::new();
            self.reader.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim_end(), 16).expect("the size of a chunk");
            assert!(size > 0, "the end before {text:?}");
            let mut chunk = vec![0; size + "\r\n".len()];
            self.reader.read_exact(&mut chunk).unwrap();
            self.body.push_str(str::from_utf8(&chunk[..size]).unwrap());
        }
        let (before, after) = self.body.split_once(text).expect("it has come");
        assert_eq!(before.trim_matches(['h', '\n']), "");
        self.body = after.to_owned();
    }
}

/// Returns what the API knows of a client.
fn presence(server: &Server, client: &str) -> Value {
    let mut stream = TcpStream::connect(address(server)).unwrap();
    write!(
        stream,
        "GET /api/presence/{client} HTTP/1.1\r\nHost: a\r\nX-API-Key: s3cret\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    serde_json::from_str(&answer_of(&stream).1).unwrap()
}

fn is_online(server: &Server, client: &str) -> bool {
    presence(server, client)["online"] == true
}

#[test]
fn a_flood_of_opens_from_one_address_stops_at_its_limit_and_leaves_room_for_others() {
    const MAX: usize = 50;
    const DELAY: Duration = Duration::from_secs(5);
    let max = MAX.to_string();
    let options = [
        ["--address-connections-max", &*max],
        ["--address-handshakes-per-second", "100000"],
        ["--address-posts-per-minute", "1000000"],
        ["--address-exempt", "10.0.0.1"],
        ["--sockjs-disconnect-delay", "5s"],
    ];
    let Some(server) = Server::start(&options.concat()) else {
        return;
    };
    let to = address(&server);
    let begun = Instant::now();
    let attackers: Vec<_> = (0..4)
        .map(|attacker| {
            thread::spawn(move || {
                let open = |number| {
                    let path = format!("/sockjs/echo/0/{attacker}-{number}/xhr");
                    post_from([127, 0, 0, 9], to, &path, b"").0
                };
                (0..250).map(open).collect::<Vec<u16>>()
            })
        })
        .collect();
    let mut statuses: Vec<u16> = Vec::new();
    for attacker in attackers {
        statuses.extend(attacker.join().unwrap());
    }
    let opened = statuses.iter().filter(|status| **status == 200).count();
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!(opened + refused, 1000, "{statuses:?}");
    assert!(opened > 0 && refused > 0, "{opened} were opened");
    // Sessions whose time was over have made room for others.
    let rounds = 2 + (begun.elapsed().as_secs() / DELAY.as_secs()) as usize;
    assert!(opened <= rounds * MAX, "{opened} in {rounds} rounds");

    // Another address talks meanwhile.
    let other = |path: &str, body: &[u8]| post_from([127, 0, 0, 10], to, path, body);
    assert_eq!(
        other("/sockjs/echo/0/other/xhr", b""),
        (200, "o\n".to_owned())
    );
    assert_eq!(other("/sockjs/echo/0/other/xhr_send", b"[\"a\"]").0, 204);
    let echo = (200, "a[\"a\"]\n".to_owned());
    assert_eq!(other("/sockjs/echo/0/other/xhr", b""), echo);
    // The first one can come again, when its sessions have ended.
    while post_from([127, 0, 0, 9], to, "/sockjs/echo/0/again/xhr", b"").0 != 200 {
        let_pass(Duration::from_millis(50));
    }
}

#[test]
fn slow_readers_of_a_stream_are_ended_and_the_others_get_everything() {
    const READERS: usize = 40;
    const MESSAGES: usize = 300;
    let options = [
        ["--http-api-key", "s3cret"],
        ["--outbox-bytes-max", "256KiB"],
        ["--sockjs-response-bytes-max", "1GiB"],
        ["--log-filter", "warn"],
    ];
    let Some(mut server) = Server::start(&options.concat()) else {
        return;
    };
    let to = address(&server);
    let slow: Vec<TcpStream> = (0..READERS)
        .map(|number| {
            let stream = connect_from(LOOPBACK, to);
            let path = format!("/sockjs/room/0/slow{number}/xhr_streaming?client_id=slow{number}");
            write_post(&stream, &path, b"");
            read_until(&stream, "o\n");
            stream
        })
        .collect();
    assert!(is_online(&server, "slow0"));
    let good = connect_from(LOOPBACK, to);
    write_post(
        &good,
        "/sockjs/room/0/good/xhr_streaming?client_id=good",
        b"",
    );
    let mut good = Streamed::new(good);
    good.wait_for("o\n");

    let before = server.process().peak_memory_bytes();
    let padding = "x".repeat(32 << 10);
    assert_eq!(post(to, "/sockjs/room/0/sender/xhr", "").1, "o\n");
    for number in 0..MESSAGES {
        let body = json!([format!("{number} {padding}")]).to_string();
        // The sender is in the room, too.
        assert_eq!(post(to, "/sockjs/room/0/sender/xhr_send", &body).0, 204);
        post(to, "/sockjs/room/0/sender/xhr", "");
        good.wait_for(&format!("a[\"{number} {padding}\"]\n"));
    }
    for number in 0..READERS {
        while is_online(&server, &format!("slow{number}")) {
            let_pass(Duration::from_millis(50));
        }
    }
    assert!(is_online(&server, "good"));
    // Each may hold its outbox and what is on its way, not the 10 MB that were sent.
    let grown = server.process().peak_memory_bytes() - before;
    assert!(grown < READERS * (1 << 20), "{grown} bytes");
    drop(slow);
}

#[test]
fn sends_above_the_rate_are_refused_or_delivered_once_and_in_full() {
    let options = ["--sockjs-sends-per-second", "20"];
    let Some(server) = Server::start(&options) else {
        return;
    };
    let to = address(&server);
    assert_eq!(post(to, "/sockjs/echo/0/s/xhr", "").1, "o\n");
    let receiver = connect_from(LOOPBACK, to);
    write_post(&receiver, "/sockjs/echo/0/s/xhr_streaming", b"");
    let senders: Vec<_> = (0..100)
        .map(|number| {
            thread::spawn(move || {
                let body = format!("[\"<{number}>\"]");
                (number, post(to, "/sockjs/echo/0/s/xhr_send", &body).0)
            })
        })
        .collect();
    let sent: Vec<(u32, u16)> = senders
        .into_iter()
        .map(|sender| sender.join().unwrap())
        .collect();
    // The last one waits for its turn like the others, and shows that all before it came.
    while post(to, "/sockjs/echo/0/s/xhr_send", "[\"end\"]").0 != 204 {
        let_pass(Duration::from_millis(50));
    }
    let seen = read_until(&receiver, "end");
    let mut refused = 0;
    for (number, status) in sent {
        let count = seen.matches(&format!("<{number}>")).count();
        match status {
            204 => assert_eq!(count, 1, "{number}"),
            429 => {
                refused += 1;
                assert_eq!(count, 0, "{number}");
            }
            other => panic!("{number}: {other}"),
        }
    }
    assert!(refused > 0, "a hundred at once are more than wait");
    // Other sessions have a rate of their own.
    assert_eq!(post(to, "/sockjs/echo/0/t/xhr", "").1, "o\n");
    assert_eq!(post(to, "/sockjs/echo/0/t/xhr_send", "[\"a\"]").0, 204);
}

#[test]
fn bodies_that_are_too_large_or_broken_are_refused_and_the_session_goes_on() {
    let Some(server) = Server::start(&["--sockjs-body-bytes-max", "1KiB"]) else {
        return;
    };
    let to = address(&server);
    assert_eq!(post(to, "/sockjs/echo/0/s/xhr", "").1, "o\n");
    let send = |body: &[u8]| post_from(LOOPBACK, to, "/sockjs/echo/0/s/xhr_send", body);
    let large = format!("[\"{}\"]", "x".repeat(1 << 20));
    assert_eq!(send(large.as_bytes()).0, 413);
    assert_eq!(send(b""), (500, "Payload expected.".to_owned()));
    let broken: [&[u8]; 8] = [
        b"[\"a\"",
        b"x",
        b"{\"a\":1}",
        b"[1]",
        b"[\"a\",null]",
        b"[\"\xff\"]",
        b"[[[[[[[[",
        b"[\"\\ud800",
    ];
    for body in broken {
        let answer = (500, "Broken JSON encoding.".to_owned());
        assert_eq!(send(body), answer, "{}", String::from_utf8_lossy(body));
    }
    // Nothing of them has arrived.
    assert_eq!(send(b"[\"whole\"]").0, 204);
    assert_eq!(post(to, "/sockjs/echo/0/s/xhr", "").1, "a[\"whole\"]\n");
}

#[test]
fn a_second_receiver_is_told_so_and_the_first_goes_on() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let to = address(&server);
    let first = connect_from(LOOPBACK, to);
    write_post(&first, "/sockjs/echo/0/s/xhr_streaming", b"");
    read_until(&first, "o\n");
    let told = (
        200,
        "c[2010,\"Another connection still open\"]\n".to_owned(),
    );
    for _ in 0..20 {
        assert_eq!(post(to, "/sockjs/echo/0/s/xhr", ""), told);
    }
    assert_eq!(post(to, "/sockjs/echo/0/s/xhr_send", "[\"a\"]").0, 204);
    read_until(&first, "a[\"a\"]\n");
}

#[test]
fn polls_of_a_dead_session_are_answered_at_once_and_open_none() {
    let options = [
        ["--http-api-key", "s3cret"],
        ["--sockjs-disconnect-delay", "1s"],
    ];
    let Some(server) = Server::start(&options.concat()) else {
        return;
    };
    let to = address(&server);
    let path = "/sockjs/room/0/s/xhr?client_id=ann";
    assert_eq!(post(to, path, "").1, "o\n");
    while is_online(&server, "ann") {
        let_pass(Duration::from_millis(20));
    }
    let told = (200, "c[1002,\"Connection interrupted\"]\n".to_owned());
    assert_eq!(post(to, path, ""), told);
    assert!(!is_online(&server, "ann"));
    assert_eq!(post(to, "/sockjs/room/0/s/xhr_send", "[\"a\"]").0, 404);
}

/// What a page does that connects anew whenever its socket has closed.
const RECONNECTING: &str = r#"
    // sockjs-client allows no query in its URL.
    document.cookie = "client_id=ann; path=/";
    let opened = 0;
    const connect = () => {
        const socket = new SockJS("URL", null, { transports: "TRANSPORT" });
        socket.onopen = () => { opened += 1; socket.send("hello " + opened); };
        socket.onmessage = ({ data }) => { document.title = data; };
        socket.onclose = () => { setTimeout(connect, 100); };
    };
    connect();
"#;

#[test]
fn a_page_comes_back_after_its_server_was_killed_and_presence_is_right() {
    let (Some(browser), Some(script)) = (Browser::start(&[]), client_script()) else {
        return;
    };
    for transport in ["websocket", "xhr-streaming", "xhr-polling"] {
        let Some(mut server) = Server::start(&["--http-api-key", "s3cret"]) else {
            return;
        };
        let to = address(&server);
        let page = format!("http://{to}/a-page");
        let url = format!("http://{to}/sockjs/room");
        let own = RECONNECTING
            .replace("URL", &url)
            .replace("TRANSPORT", transport);
        let tab = browser.tab();
        tab.serve_text(
            &page,
            &format!("<!doctype html><script>{script}</script><script>{own}</script>"),
        );
        tab.open(&page);
        tab.until("document.title === 'hello 1'");
        assert!(is_online(&server, "ann"));
        server.process().kill();
        drop(server);
        let options = ["--listen", &to.to_string(), "--http-api-key", "s3cret"];
        let Some(server) = Server::start_with(&options) else {
            return;
        };
        tab.until("document.title === 'hello 2'");
        assert!(is_online(&server, "ann"), "{transport}");
        let devices = presence(&server, "ann")["devices"].clone();
        assert_eq!(devices.as_array().map(Vec::len), Some(1), "{transport}");
    }
}
