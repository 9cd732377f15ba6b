//! Hostile peers, beside one peer that must not notice them.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use sockeye::{
    CloseCode, Deflate, Endpoint, Group, Limits, Message, Reply, Server, ServerHandle, ServerTls,
    Session, Settings, connect as dial,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use crate::support::{
    Echo, assert_echoes, connect, exchange, frame, open, read_head, request, soon, status,
};

/// Sends each message to every client.
struct Room(Group);

impl Endpoint for Room {
    fn on_open(&mut self, session: &Session) {
        self.0.join(session);
    }

    fn on_message(&mut self, _: &Session, message: Message<'_>) -> Reply {
        self.0.send(message);
        Reply::None
    }
}

struct Siege {
    server: ServerHandle,
    room: Group,
    /// The addresses without and with TLS.
    plain: SocketAddr,
    tls: SocketAddr,
}

/// Bytes. The largest message of this server.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Bytes. What the process may have grown by at the end, its clients included.
const GROWTH_BYTES_MAX: usize = 128 << 20;

/// How long a peer that floods keeps writing when the server has stopped reading.
const STUBBORNNESS: Duration = Duration::from_millis(300);

impl Siege {
    async fn begin() -> Self {
        let mut limits = Limits::default();
        limits.handshake_timeout = Duration::from_secs(1);
        limits.close_timeout = Duration::from_secs(1);
        limits.message_bytes_max = MESSAGE_BYTES_MAX;
        let mut settings = Settings::default();
        settings.limits = limits;
        settings.deflate = Some(Deflate::default());
        let room = Group::new();
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let tls = ServerTls::from_pem(cert.pem(), signing_key.serialize_pem()).unwrap();
        let group = room.clone();
        let server = Server::bind("127.0.0.1:0")
            .listen_tls("127.0.0.1:0", tls)
            .route("/echo", |_request| Ok(Echo))
            .route("/room", move |_request| Ok(Room(group.clone())))
            .settings(settings)
            .start()
            .await
            .unwrap();
        let (plain, tls) = (server.local_addrs()[0], server.local_addrs()[1]);
        Self {
            server,
            room,
            plain,
            tls,
        }
    }

    /// Sends messages and checks their echoes until the attack ends.
    async fn well_behaved(&self, stop: Arc<AtomicBool>) -> JoinHandle<usize> {
        let (mut websocket, _) = open(self.plain, "/echo", &[]).await;
        tokio::spawn(async move {
            let mut echoes = 0;
            while !stop.load(Ordering::Relaxed) {
                assert_echoes(&mut websocket, &format!("still here {echoes}")).await;
                echoes += 1;
                tokio::task::yield_now().await;
            }
            let closed = soon(websocket.close(CloseCode::NORMAL, "")).await;
            assert!(closed.is_clean());
            echoes
        })
    }

    /// Asserts that all sessions and their memory are gone.
    async fn is_over(&self) {
        let gone = async {
            while self.server.connections() > 0 || self.server.sessions() > 0 {
                tokio::task::yield_now().await;
            }
        };
        soon(gone).await;
        assert!(self.room.is_empty());
    }

    /// Opens a WebSocket whose client the test plays.
    async fn raw(&self, path: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        // Small, so that the kernel soon takes nothing more for a peer that doesn't read.
        socket.set_recv_buffer_size(4 << 10).unwrap();
        let mut stream = soon(socket.connect(self.plain)).await.unwrap();
        stream
            .write_all(request(path, &[]).as_bytes())
            .await
            .unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        stream
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attacked_server_serves_on_and_keeps_nothing_of_the_attackers() {
    let siege = Arc::new(Siege::begin().await);
    let stop = Arc::new(AtomicBool::new(false));
    let friend = siege.well_behaved(Arc::clone(&stop)).await;
    let before = resident_bytes();
    let mut attacks = JoinSet::new();
    attacks.spawn(silence(Arc::clone(&siege)));
    attacks.spawn(slow_handshake(Arc::clone(&siege)));
    attacks.spawn(deaf_in_a_room(Arc::clone(&siege)));
    attacks.spawn(pings_without_reading(Arc::clone(&siege)));
    attacks.spawn(empty_messages(Arc::clone(&siege)));
    attacks.spawn(fragments_without_end(Arc::clone(&siege)));
    attacks.spawn(bombs(Arc::clone(&siege)));
    attacks.spawn(garbage(Arc::clone(&siege)));
    attacks.spawn(half_closed(Arc::clone(&siege)));
    attacks.spawn(flood_behind_a_close(Arc::clone(&siege)));
    attacks.spawn(resets(Arc::clone(&siege)));
    attacks.spawn(nonsense_on_the_tls_port(Arc::clone(&siege)));
    attacks.spawn(large_heads(Arc::clone(&siege)));
    while let Some(attack) = attacks.join_next().await {
        attack.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    assert!(soon(friend).await.unwrap() > 0);
    siege.is_over().await;
    let growth = resident_bytes().saturating_sub(before);
    assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes more");
}

async fn silence(siege: Arc<Siege>) {
    let mut peers = JoinSet::new();
    for _ in 0..50 {
        let (plain, tls) = (siege.plain, siege.tls);
        peers.spawn(async move {
            assert_eq!(status(plain, b"").await, 408);
            assert_eq!(status(plain, b"GET /echo HTTP/1.1\r\nHost:").await, 408);
            exchange(tls, b"").await;
        });
    }
    while let Some(peer) = peers.join_next().await {
        peer.unwrap();
    }
}

/// Sends a request byte by byte, a little too slowly for the handshake timeout.
async fn slow_handshake(siege: Arc<Siege>) {
    let mut stream = connect(siege.plain).await;
    let fields = ["X-Filler: never ends"; 50];
    let bytes = request("/echo", &fields);
    let mut answer = [0; 12];
    for byte in bytes.as_bytes() {
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        let pause = Duration::from_millis(5);
        if let Ok(read) = timeout(pause, stream.read_exact(&mut answer)).await {
            read.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 408");
            return;
        }
    }
    panic!("the server had patience without end");
}

async fn deaf_in_a_room(siege: Arc<Siege>) {
    let mut deaf = Vec::new();
    for _ in 0..10 {
        deaf.push(siege.raw("/room").await);
    }
    let (mut speaker, _) = open(siege.plain, "/room", &[]).await;
    let message = Message::from(vec![7; 100_000]);
    // Small messages, too: they are copied into each outbox, large ones are shared.
    let whisper = Message::from(vec![8; 1000]);
    while siege.room.len() > 1 {
        for spoken in [&message, &whisper] {
            soon(speaker.send(spoken)).await.unwrap();
            assert_eq!(soon(speaker.recv()).await.unwrap().unwrap(), *spoken);
        }
    }
    soon(speaker.close(CloseCode::NORMAL, "")).await;
    drop(deaf);
}

async fn pings_without_reading(siege: Arc<Siege>) {
    let mut stream = siege.raw("/echo").await;
    let pings = frame(0x89, &[1; 125]).repeat(1000);
    while let Ok(written) = timeout(STUBBORNNESS, stream.write_all(&pings)).await {
        written.unwrap();
    }
    reset(stream);
}

async fn empty_messages(siege: Arc<Siege>) {
    const MESSAGES: usize = 100_000;
    let (mut read, mut write) = siege.raw("/echo").await.into_split();
    let writing = tokio::spawn(async move {
        let frames = [frame(0x82, b""), frame(0x8a, b"")].concat();
        write.write_all(&frames.repeat(MESSAGES)).await.unwrap();
        write
    });
    let mut echoes = vec![0; 2 * MESSAGES];
    soon(read.read_exact(&mut echoes)).await.unwrap();
    assert!(echoes.chunks(2).all(|echo| echo == [0x82, 0]));
    reset(soon(writing).await.unwrap().reunite(read).unwrap());
}

async fn fragments_without_end(siege: Arc<Siege>) {
    for fragment in [frame(0, b""), frame(0, &[b'x'; 10_000])] {
        let (mut read, mut write) = siege.raw("/echo").await.into_split();
        let writing = tokio::spawn(async move {
            write.write_all(&frame(0x01, b"")).await.unwrap();
            while write.write_all(&fragment).await.is_ok() {}
        });
        let mut close = [0; 4];
        soon(read.read_exact(&mut close)).await.unwrap();
        assert_eq!((close[0], &close[2..]), (0x88, &1009_u16.to_be_bytes()[..]));
        // The client keeps writing, and its connection is closed all the same.
        soon(writing).await.unwrap();
    }
}

async fn bombs(siege: Arc<Siege>) {
    let url = format!("ws://{}/echo", siege.plain);
    for _ in 0..4 {
        let dialled = dial(&*url).deflate(Deflate::default());
        let mut websocket = soon(dialled.into_future()).await.unwrap();
        soon(websocket.send(vec![0; 32 * MESSAGE_BYTES_MAX]))
            .await
            .unwrap();
        let error = soon(websocket.recv()).await.unwrap_err();
        let received = error.closed().unwrap().received;
        assert_eq!(received, Some(CloseCode::MESSAGE_TOO_BIG));
    }
}

async fn garbage(siege: Arc<Siege>) {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..100 {
        let mut stream = siege.raw("/echo").await;
        let mut bytes = Vec::new();
        for _ in 0..1000 {
            // Xorshift: any bytes will do, if they are the same in each run.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            bytes.extend(seed.to_le_bytes());
        }
        // Not masked, so that none of it can be the beginning of a long frame.
        bytes[1] &= 0x7f;
        let _ = stream.write_all(&bytes).await;
        let mut answer = [0; 4];
        soon(stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(
            (answer[0], &answer[2..]),
            (0x88, &1002_u16.to_be_bytes()[..])
        );
        soon(stream.read_to_end(&mut bytes)).await.unwrap();
    }
}

async fn half_closed(siege: Arc<Siege>) {
    for end in [
        &b""[..],
        &frame(0x82, b"whole"),
        &frame(0x82, b"broken")[..9],
    ] {
        let mut stream = siege.raw("/echo").await;
        stream.write_all(end).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        soon(stream.read_to_end(&mut answer)).await.unwrap();
    }
}

async fn flood_behind_a_close(siege: Arc<Siege>) {
    let mut stream = siege.raw("/echo").await;
    stream.write_all(&frame(0x88, &[0x03, 0xe8])).await.unwrap();
    let flood = async { while stream.write_all(&[0; 10_000]).await.is_ok() {} };
    soon(flood).await;
}

async fn resets(siege: Arc<Siege>) {
    for _ in 0..10 {
        let mut streams = Vec::new();
        for _ in 0..50 {
            streams.push(connect(siege.plain).await);
        }
        streams.into_iter().for_each(reset);
    }
    for _ in 0..50 {
        let mut stream = siege.raw("/room").await;
        let frame = frame(0x82, &[0; 1000]);
        stream.write_all(&frame[..500]).await.unwrap();
        reset(stream);
    }
}

async fn nonsense_on_the_tls_port(siege: Arc<Siege>) {
    for bytes in [
        request("/echo", &[]).as_bytes(),
        &[0x16, 0x03, 0x01, 0xff, 0xff, 0, 0, 0],
        &[0xff; 10_000],
    ] {
        let mut stream = connect(siege.tls).await;
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        // The answer is an alert, a reset or a text, and then the end.
        let _ = soon(stream.read_to_end(&mut answer)).await;
        assert!(answer.len() < 400);
    }
}

async fn large_heads(siege: Arc<Siege>) {
    let large = format!("X-Large: {}", "x".repeat(100_000));
    let many = vec!["X: y"; 1000];
    for fields in [&[&*large][..], &many] {
        let bytes = request("/echo", fields);
        assert_eq!(status(siege.plain, bytes.as_bytes()).await, 431);
    }
}

/// Resets the connection.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

/// Returns the memory of the process in bytes.
fn resident_bytes() -> usize {
    // Bytes of a page on every machine where this runs.
    const PAGE_BYTES: usize = 4 << 10;
    let Ok(statm) = std::fs::read_to_string("/proc/self/statm") else {
        return 0;
    };
    let pages = statm.split(' ').nth(1).unwrap();
    pages.parse::<usize>().unwrap() * PAGE_BYTES
}
