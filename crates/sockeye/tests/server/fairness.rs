//! A busy session takes no time from the others on its worker.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use sockeye::{
    Drain, Endpoint, Group, Message, Reply, Route, Server, ServerHandle, Session, Settings,
    WebSocket,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use crate::support::{Echo, assert_echoes, connect, open, read_head, request, soon};

/// Reads each byte of a message and answers nothing: slower than any sender, so that more always waits.
struct Sink(Arc<AtomicUsize>);

impl Endpoint for Sink {
    fn on_message(&mut self, _session: &Session, message: Message<'_>) -> Reply {
        // A chain of products, some 10 us: slower than any sender.
        let bytes = message.as_bytes().iter();
        let sum = bytes.fold(1_u64, |sum, byte| {
            let sum = sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
            sum.wrapping_mul(sum | 1)
        });
        std::hint::black_box(sum);
        self.0.fetch_add(1, Ordering::Relaxed);
        Reply::None
    }
}

/// Echoes, and records how many bytes the sinks have read.
struct Beside {
    sunk: Arc<AtomicUsize>,
    noted: mpsc::Sender<usize>,
}

impl Endpoint for Beside {
    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        self.noted.send(self.sunk.load(Ordering::Relaxed)).unwrap();
        Reply::Echo
    }
}

/// Bytes of one message of the senders that never stop.
const FLOOD_BYTES: usize = 4 << 10;

/// Messages that a worker reads from one connection before the others get their turn: 4 reads of 256 KiB.
const TURN_MESSAGES: usize = (1 << 20) / FLOOD_BYTES;

#[tokio::test]
async fn senders_that_never_stop_do_not_starve_the_others() {
    const FLOODS: usize = 2;
    // Messages, 600 MB of them.
    const FLOOD_MESSAGES: usize = 150_000;
    // A message that comes during a round waits for its end, and its echo waits for the client.
    const ROUNDS_MAX: usize = 4;
    let sunk = Arc::new(AtomicUsize::new(0));
    let (noted, notes) = mpsc::channel();
    let (sink, beside) = (Arc::clone(&sunk), Arc::clone(&sunk));
    let server = Server::bind("127.0.0.1:0")
        .workers(1)
        .route("/sink", move |_request| Ok(Sink(Arc::clone(&sink))))
        .route("/beside", move |_request| {
            Ok(Beside {
                sunk: Arc::clone(&beside),
                noted: noted.clone(),
            })
        })
        .start()
        .await
        .unwrap();
    let addr = server.local_addrs()[0];
    let (mut websocket, _) = open(addr, "/beside", &[]).await;
    let mut floods = Vec::new();
    for _ in 0..FLOODS {
        let mut stream = connect(addr).await;
        stream
            .write_all(request("/sink", &[]).as_bytes())
            .await
            .unwrap();
        read_head(&mut stream).await;
        let mut stream = stream.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        let mut frame = vec![0x82, 0xfe];
        frame.extend((FLOOD_BYTES as u16).to_be_bytes());
        frame.extend([0; 4 + FLOOD_BYTES]);
        let frames = frame.repeat(64);
        // Until the server closes the connection.
        floods.push(std::thread::spawn(move || {
            while stream.write_all(&frames).is_ok() {}
        }));
    }
    while sunk.load(Ordering::Relaxed) < FLOOD_MESSAGES {
        assert_echoes(&mut websocket, "and me?").await;
    }
    let notes: Vec<usize> = notes.try_iter().collect();
    // Echoes from before the flood don't count.
    let notes: Vec<usize> = notes.into_iter().filter(|sunk| *sunk > 0).collect();
    let mut between: Vec<usize> = notes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    between.sort_unstable();
    // The median, because the system also decides when the echoing client runs.
    let usual = between[between.len() / 2];
    // In each round a busy connection has at most two turns: one for an event, and one because more was left.
    let rounds = usual.div_ceil(2 * FLOODS * TURN_MESSAGES);
    assert!(
        rounds <= ROUNDS_MAX,
        "{usual} messages of others between two echoes"
    );
    let mut drain = Drain::default();
    drain.timeout = Duration::ZERO;
    soon(server.drain(drain)).await;
    for flood in floods {
        soon(tokio::task::spawn_blocking(|| flood.join().unwrap()))
            .await
            .unwrap();
    }
}

/// Sends each message to the whole group.
struct Fan(Group);

impl Endpoint for Fan {
    fn on_message(&mut self, _session: &Session, message: Message<'_>) -> Reply {
        self.0.send(message);
        Reply::None
    }
}

/// A member of the group.
struct Member(Group);

impl Endpoint for Member {
    fn on_open(&mut self, session: &Session) {
        self.0.join(session);
    }

    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::None
    }
}

/// Bytes of a message to many.
const FANNED_BYTES: usize = 16 << 10;

/// Messages to the group: a little more than may wait for a worker, so that the sender is held back.
const FANNED: usize = 80;

/// Returns the frame of message number `number`, from a client whose mask is 0.
fn fanned(number: usize) -> Vec<u8> {
    let mut frame = vec![0x82, 0xfe];
    frame.extend((FANNED_BYTES as u16).to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(vec![number as u8; FANNED_BYTES]);
    frame
}

/// Reads all messages of the group in order, and reports each time how many have come.
async fn hear_all(mut stream: TcpStream, has: impl Fn(usize)) {
    let mut frame = vec![0; 4 + FANNED_BYTES];
    for number in 0..FANNED {
        stream.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame[..4], [0x82, 0x7e, 0x40, 0]);
        assert!(frame[4..].iter().all(|byte| usize::from(*byte) == number));
        has(number + 1);
    }
}

async fn open_raw(addr: SocketAddr, path: &str) -> TcpStream {
    let mut stream = connect(addr).await;
    let request = request(path, &[]);
    stream.write_all(request.as_bytes()).await.unwrap();
    read_head(&mut stream).await;
    stream
}

async fn fan_server(workers: usize) -> ServerHandle {
    let group = Group::new();
    let (fan, members, loops) = (group.clone(), group.clone(), group);
    let in_loop = Route::conversation("/loop", move |_, mut websocket: WebSocket| {
        let group = loops.clone();
        async move {
            group.join(websocket.session());
            websocket.send("in").await.unwrap();
            while let Ok(Some(_)) = websocket.recv().await {}
        }
    });
    let mut settings = Settings::default();
    settings.outbox_bytes_max = 64 << 20;
    Server::bind("127.0.0.1:0")
        .workers(workers)
        .settings(settings)
        .route("/fan", move |_| Ok(Fan(fan.clone())))
        .route("/member", move |_| Ok(Member(members.clone())))
        .route("/echo", |_| Ok(Echo))
        .mount(in_loop)
        .start()
        .await
        .unwrap()
}

/// The members get hundreds of megabytes, and the session beside them on the same worker is answered all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_to_many_does_not_hold_up_the_others() {
    const MEMBERS: usize = 300;
    let server = fan_server(1).await;
    let addr = server.local_addrs()[0];
    let echoes = Arc::new(AtomicUsize::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let (marks, marked) = mpsc::channel();
    let mut members = JoinSet::new();
    for number in 0..MEMBERS {
        let stream = open_raw(addr, "/member").await;
        let (echoes, marks) = (Arc::clone(&echoes), marks.clone());
        members.spawn(hear_all(stream, move |has| {
            // The first message of a member, and the last but those that the sender leaves to the worker in any
            // case.
            if number == 0 && [1, FANNED / 2].contains(&has) {
                marks.send(echoes.load(Ordering::SeqCst)).unwrap();
            }
        }));
    }
    let beside = open_raw(addr, "/echo").await.into_std().unwrap();
    beside.set_nonblocking(false).unwrap();
    let (counted, ends) = (Arc::clone(&echoes), Arc::clone(&is_over));
    let beside = std::thread::spawn(move || {
        let (mut stream, mut answer) = (beside, [0; 4]);
        while !ends.load(Ordering::SeqCst) {
            stream.write_all(b"\x82\x82\0\0\0\0hi").unwrap();
            stream.read_exact(&mut answer).unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let mut fan = open_raw(addr, "/fan").await;
    let frames: Vec<u8> = (0..FANNED).flat_map(fanned).collect();
    fan.write_all(&frames).await.unwrap();
    let all = timeout(Duration::from_secs(120), async {
        while let Some(member) = members.join_next().await {
            member.unwrap();
        }
    });
    all.await.expect("all members have all");
    is_over.store(true, Ordering::SeqCst);
    beside.join().unwrap();
    let (first, half) = (marked.recv().unwrap(), marked.recv().unwrap());
    eprintln!(
        "{} echoes while {MEMBERS} members got half of it",
        half - first
    );
    // After each portion of a delivery the others get a turn. Without portions there was none in between.
    assert!(half - first >= 3);
}

/// With members on both workers, and one in a task, a sender that waits for them continues in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_was_held_back_continues() {
    const FLOODS: usize = 2;
    let server = fan_server(2).await;
    let addr = server.local_addrs()[0];
    let mut members = JoinSet::new();
    for number in 0..20 {
        let mut stream = match number % 10 {
            0 => open_raw(addr, "/loop").await,
            _ => open_raw(addr, "/member").await,
        };
        if number % 10 == 0 {
            // The conversation begins after its handshake.
            soon(stream.read_exact(&mut [0; 4])).await.unwrap();
        }
        members.spawn(async move {
            let mut frame = vec![0; 4 + FANNED_BYTES];
            for _ in 0..FLOODS * FANNED {
                stream.read_exact(&mut frame).await.unwrap();
            }
        });
    }
    let mut floods = Vec::new();
    for _ in 0..FLOODS {
        let mut fan = open_raw(addr, "/fan").await;
        let frames: Vec<u8> = (0..FANNED).flat_map(fanned).collect();
        fan.write_all(&frames).await.unwrap();
        floods.push(fan);
    }
    let all = timeout(Duration::from_secs(120), async {
        while let Some(member) = members.join_next().await {
            member.unwrap();
        }
    });
    all.await.expect("all members have all");
}
