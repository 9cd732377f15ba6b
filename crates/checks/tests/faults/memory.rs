//! Attackers that make a server of 512 MiB hold as much as they can, while another client is served.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use sockeye_checks::{Server, let_pass, sockeye};
use sockeye_proto::extension::{Deflater, End, Pool, Takeover};

use crate::support::LIMIT;

/// The server's address space in KiB.
const ADDRESS_SPACE_KIB: usize = 512 << 10;

/// Bytes. The budget that `auto` chooses: a quarter.
const BUDGET_BYTES: usize = 128 << 20;

/// The time that a loaded machine may need for one echo. The test prints the time that it needed.
const ECHO_TIMEOUT: Duration = Duration::from_secs(30);

/// The time after which an attacker stops that isn't read any more.
const WRITE_TIMEOUT: Duration = Duration::from_millis(300);

/// Returns a server that may have 512 MiB of address space, and finds out itself how much peers may have of
/// it.
fn serve() -> Option<Server> {
    let flags = ["--log-filter", "sockeye_server=debug,sockeye=warn"];
    let own = sockeye(
        "serve",
        &[&["--listen", "127.0.0.1:0"], &flags[..]].concat(),
    )?;
    let mut command = Command::new("sh");
    let script = format!("ulimit -v {ADDRESS_SPACE_KIB} && exec \"$0\" \"$@\"");
    command
        .args(["-c", &script])
        .arg(own.get_program())
        .args(own.get_args());
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(std::env::temp_dir());
    Some(Server::start_command(command, LIMIT))
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server listens");
    stream
        .set_read_timeout(Some(ECHO_TIMEOUT))
        .expect("a time limit");
    stream
        .set_write_timeout(Some(WRITE_TIMEOUT))
        .expect("a time limit");
    stream
}

/// Returns a WebSocket on `path`. The server may have no room for it.
fn open(port: u16, path: &str) -> io::Result<TcpStream> {
    let mut stream = connect(port);
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    match head.starts_with(b"HTTP/1.1 101 ") {
        true => Ok(stream),
        false => Err(io::ErrorKind::ConnectionRefused.into()),
    }
}

/// Returns a frame of more than 125 bytes that is masked with the key 0.
fn frame(first: u8, announced: usize, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(announced) {
        Ok(announced) => {
            frame.push(0xfe);
            frame.extend(announced.to_be_bytes());
        }
        Err(_) => {
            frame.push(0xff);
            frame.extend((announced as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// Returns the first half of a message of nearly 16 MiB, compressed to 16 KiB.
fn half_a_bomb() -> Vec<u8> {
    let mut bomb = Vec::new();
    let zeros = vec![0; (16 << 20) - 1];
    Deflater::new(15, Takeover::No, 6).deflate(&mut Pool::new(), &zeros, End::Yes, &mut bomb);
    assert!(bomb.len() < 17 << 10);
    frame(0x42, bomb.len(), &bomb)
}

/// Opens 60 connections that send half a compressed message, and no more.
fn unfinished_compressed_messages(port: u16) -> Vec<TcpStream> {
    let bomb = half_a_bomb();
    attack(60, || {
        let mut stream = open(port, "/echo")?;
        stream.write_all(&bomb)?;
        Ok(stream)
    })
}

/// Opens 60 streams of one HTTP/2 connection that send half a compressed message, and no more.
fn unfinished_compressed_messages_over_http2(port: u16) -> Vec<TcpStream> {
    let bomb = half_a_bomb();
    attack(1, || {
        let mut stream = connect(port);
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        http2_frame(&mut stream, 4, 0, 0, &[])?;
        // The client's settings, and the window of the connection.
        let mut told = [0; 64];
        stream.read_exact(&mut told[..9])?;
        http2_frame(&mut stream, 4, 1, 0, &[])?;
        let mut reader = stream.try_clone()?;
        thread::spawn(move || while reader.read(&mut told).is_ok_and(|len| len > 0) {});
        let fields = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":path", "/echo"),
            (":authority", "a.example"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-extensions", "permessage-deflate"),
        ];
        let mut head = Vec::new();
        for (name, value) in fields {
            // A literal that isn't indexed (RFC 7541 section 6.2.2).
            head.extend([0, name.len() as u8]);
            head.extend(name.bytes());
            head.push(value.len() as u8);
            head.extend(value.bytes());
        }
        for number in 0..60 {
            let id = 2 * number + 1;
            http2_frame(&mut stream, 1, 4, id, &head)?;
            for piece in bomb.chunks(16 << 10) {
                http2_frame(&mut stream, 0, 0, id, piece)?;
            }
        }
        Ok(stream)
    })
}

fn http2_frame(
    stream: &mut TcpStream,
    kind: u8,
    flags: u8,
    id: u32,
    payload: &[u8],
) -> io::Result<()> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(id.to_be_bytes());
    frame.extend_from_slice(payload);
    stream.write_all(&frame)
}

/// Opens 100 connections that send small messages as long as the server takes them, and read nothing.
fn senders_who_do_not_read(port: u16) -> Vec<TcpStream> {
    let many = frame(0x82, 1 << 10, &[7; 1 << 10]).repeat(64);
    attack(100, || {
        let mut stream = open(port, "/echo")?;
        for _ in 0..512 {
            if stream.write_all(&many).is_err() {
                break;
            }
        }
        Ok(stream)
    })
}

/// Opens 150 connections that send all but the last byte of a mebibyte, which is more than the budget.
fn unfinished_messages(port: u16) -> Vec<TcpStream> {
    let payload = vec![7; (1 << 20) - 1];
    let message = frame(0x82, 1 << 20, &payload);
    attack(150, || {
        let mut stream = open(port, "/")?;
        // It is closed, or isn't read, when memory is short.
        let _ = stream.write_all(&message);
        Ok(stream)
    })
}

/// Opens 300 connections that send a request head without its end.
fn half_heads(port: u16) -> Vec<TcpStream> {
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a.example\r\nX: {}",
        "x".repeat(15 << 10)
    );
    attack(300, || {
        let mut stream = connect(port);
        stream.write_all(head.as_bytes())?;
        Ok(stream)
    })
}

/// A way to make a server hold much memory.
struct Attack {
    name: &'static str,
    /// Opens connections, and returns what must stay open.
    run: fn(u16) -> Vec<TcpStream>,
}

/// Runs `count` attackers, some at a time. Each keeps what it has opened.
fn attack(count: usize, one: impl Fn() -> io::Result<TcpStream> + Sync) -> Vec<TcpStream> {
    const AT_A_TIME: usize = 10;
    thread::scope(|scope| {
        let attackers: Vec<_> = (0..AT_A_TIME.min(count))
            .map(|first| {
                let one = &one;
                scope.spawn(move || {
                    let own = (first..count).step_by(AT_A_TIME);
                    own.filter_map(|_| one().ok()).collect::<Vec<_>>()
                })
            })
            .collect();
        let streams = attackers
            .into_iter()
            .map(|attacker| attacker.join().expect("an attacker"));
        streams.flatten().collect()
    })
}

/// Echoes small messages until it is told to stop, and returns how long each took.
fn be_a_friend(port: u16, stop: &AtomicBool) -> Vec<Duration> {
    let mut stream = open(port, "/").expect("a friend is let in");
    let message = b"\x82\x85\0\0\0\0hello";
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        stream.write_all(message).expect("a friend is read");
        let mut echo = [0; 7];
        stream.read_exact(&mut echo).expect("a friend is answered");
        assert_eq!(&echo, b"\x82\x05hello");
        times.push(began.elapsed());
        let_pass(Duration::from_millis(5));
    }
    times
}

#[test]
fn attackers_on_memory_get_no_more_than_the_budget_and_a_friend_is_served() {
    let Some(mut server) = serve() else {
        return;
    };
    let port = server.port();
    let stop = AtomicBool::new(false);
    let (mut times, peak) = thread::scope(|scope| {
        let friend = scope.spawn(|| be_a_friend(port, &stop));
        let mut held = Vec::new();
        let attacks = [
            Attack {
                name: "half a compressed message",
                run: unfinished_compressed_messages,
            },
            Attack {
                name: "the same over HTTP/2",
                run: unfinished_compressed_messages_over_http2,
            },
            Attack {
                name: "senders who do not read",
                run: senders_who_do_not_read,
            },
            Attack {
                name: "unfinished messages",
                run: unfinished_messages,
            },
            Attack {
                name: "half heads",
                run: half_heads,
            },
        ];
        let mut peak = 0;
        for attack in attacks {
            let streams = (attack.run)(port);
            peak = server.process().peak_memory_bytes();
            println!(
                "{}: {} connections, {} MiB resident at most",
                attack.name,
                streams.len(),
                peak >> 20
            );
            // All attacks at once.
            held.push(streams);
        }
        stop.store(true, Ordering::Relaxed);
        (friend.join().expect("the friend"), peak)
    });
    times.sort_unstable();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    println!(
        "{} echoes: median {median:.1?}, longest {longest:.1?}",
        times.len()
    );
    assert!(peak < ADDRESS_SPACE_KIB << 10, "{} MiB", peak >> 20);
    // A machine that needs longer for seven bytes isn't slow, but stuck.
    assert!(median < Duration::from_secs(2), "{median:?}");
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.transcript());
    let log = ended.err().join("\n");
    assert!(log.contains(&format!("bytes_max={BUDGET_BYTES}")), "{log}");
    assert!(log.contains("memory is short"), "{log}");
}
