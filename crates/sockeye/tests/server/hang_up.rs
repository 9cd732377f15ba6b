//! Data, Close frames and ends of a stream may come to a worker in any order; each of them is seen.

use std::sync::Arc;

use rustix::net::sockopt::set_tcp_cork;
use sockeye::{
    Closed, Endpoint, Error, Message, Reply, Route, Server, ServerHandle, Session, Side,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    sync::{Notify, mpsc},
};

use crate::support::{connect, frame, read_head, request, soon};

/// Echoes, and reports what it sees.
struct Reporter(mpsc::UnboundedSender<Seen>);

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Open,
    Message(usize),
    Error,
    Close(Side, bool),
}

impl Endpoint for Reporter {
    fn on_open(&mut self, _session: &Session) {
        let _ = self.0.send(Seen::Open);
    }

    fn on_message(&mut self, _session: &Session, message: Message<'_>) -> Reply {
        let _ = self.0.send(Seen::Message(message.len()));
        Reply::Echo
    }

    fn on_error(&mut self, _session: &Session, _error: &Error) {
        let _ = self.0.send(Seen::Error);
    }

    fn on_close(&mut self, _session: &Session, closed: &Closed) {
        let _ = self.0.send(Seen::Close(closed.by, closed.is_clean()));
    }
}

struct Fixture {
    server: ServerHandle,
    seen: mpsc::UnboundedReceiver<Seen>,
    /// Lets the requests for `/slow` in.
    let_in: Arc<Notify>,
}

impl Fixture {
    async fn start() -> Self {
        let (sender, seen) = mpsc::unbounded_channel();
        let (slow_sender, let_in) = (sender.clone(), Arc::new(Notify::new()));
        let gate = Arc::clone(&let_in);
        let server = Server::bind("127.0.0.1:0")
            .workers(1)
            .route("/", move |_request| Ok(Reporter(sender.clone())))
            .mount(
                Route::new("/slow", move |_request| Ok(Reporter(slow_sender.clone()))).authorize(
                    move |_request| {
                        let gate = Arc::clone(&gate);
                        async move {
                            gate.notified().await;
                            Ok(())
                        }
                    },
                ),
            )
            .start()
            .await
            .unwrap();
        Self {
            server,
            seen,
            let_in,
        }
    }

    async fn connect(&self) -> TcpStream {
        connect(self.server.local_addrs()[0]).await
    }

    /// Opens a WebSocket.
    async fn open(&mut self) -> TcpStream {
        let mut stream = self.connect().await;
        stream
            .write_all(request("/", &[]).as_bytes())
            .await
            .unwrap();
        read_head(&mut stream).await;
        self.sees([Seen::Open]).await;
        stream
    }

    async fn sees(&mut self, expected: impl IntoIterator<Item = Seen>) {
        for expected in expected {
            assert_eq!(soon(self.seen.recv()).await.unwrap(), expected);
        }
    }

    /// Waits until no session and no connection is left.
    async fn is_empty(&self) {
        soon(async {
            while (self.server.sessions(), self.server.connections()) != (0, 0) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// A Close frame with 1000.
const CLOSE: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];

/// Writes, and ends the direction in the same segment.
async fn write_with_end(stream: &mut TcpStream, bytes: &[u8]) {
    set_tcp_cork(&*stream, true).unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
}

async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
    rest
}

#[tokio::test]
async fn messages_and_the_end_in_one_segment_are_both_seen() {
    let mut fixture = Fixture::start().await;
    let mut stream = fixture.open().await;
    write_with_end(&mut stream, &frame(0x82, b"last").repeat(3)).await;
    fixture.sees([4, 4, 4].map(Seen::Message)).await;
    fixture
        .sees([Seen::Error, Seen::Close(Side::Network, false)])
        .await;
    assert_eq!(rest(&mut stream).await, b"\x82\x04last".repeat(3));
    fixture.is_empty().await;
}

#[tokio::test]
async fn an_end_without_data_after_a_short_read_is_seen() {
    let mut fixture = Fixture::start().await;
    for _ in 0..100 {
        let mut stream = fixture.open().await;
        stream.write_all(&frame(0x82, b"hi")).await.unwrap();
        fixture.sees([Seen::Message(2)]).await;
        stream.shutdown().await.unwrap();
        fixture
            .sees([Seen::Error, Seen::Close(Side::Network, false)])
            .await;
        assert_eq!(rest(&mut stream).await, b"\x82\x02hi");
    }
    fixture.is_empty().await;
}

#[tokio::test]
async fn close_frame_and_the_end_in_one_segment_make_a_clean_end() {
    let mut fixture = Fixture::start().await;
    for messages in [0, 1, 1000] {
        let mut stream = fixture.open().await;
        let mut bytes = frame(0x82, b"hi").repeat(messages);
        bytes.extend(CLOSE);
        write_with_end(&mut stream, &bytes).await;
        fixture.sees((0..messages).map(|_| Seen::Message(2))).await;
        fixture.sees([Seen::Close(Side::Peer, true)]).await;
        let mut expected = b"\x82\x02hi".repeat(messages);
        expected.extend(b"\x88\x02\x03\xe8");
        assert_eq!(rest(&mut stream).await, expected);
    }
    fixture.is_empty().await;
}

#[tokio::test]
async fn request_messages_close_frame_and_the_end_may_come_at_once() {
    let mut fixture = Fixture::start().await;
    let mut stream = fixture.connect().await;
    let bytes = [request("/", &[]).as_bytes(), &frame(0x82, b"hi"), &CLOSE].concat();
    write_with_end(&mut stream, &bytes).await;
    fixture
        .sees([Seen::Open, Seen::Message(2), Seen::Close(Side::Peer, true)])
        .await;
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 101 "));
    assert_eq!(rest(&mut stream).await, b"\x82\x02hi\x88\x02\x03\xe8");
    fixture.is_empty().await;
}

#[tokio::test]
async fn what_comes_while_authorize_runs_is_kept() {
    let mut fixture = Fixture::start().await;
    let mut stream = fixture.connect().await;
    let bytes = [request("/slow", &[]).as_bytes(), &frame(0x82, b"hi")].concat();
    stream.write_all(&bytes).await.unwrap();
    // The bytes wait in the socket while no code reads it; the end follows them.
    stream.write_all(&frame(0x82, b"hello")).await.unwrap();
    write_with_end(&mut stream, &CLOSE).await;
    fixture.let_in.notify_one();
    fixture
        .sees([
            Seen::Open,
            Seen::Message(2),
            Seen::Message(5),
            Seen::Close(Side::Peer, true),
        ])
        .await;
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 101 "));
    assert_eq!(
        rest(&mut stream).await,
        b"\x82\x02hi\x82\x05hello\x88\x02\x03\xe8"
    );
    // Another client hangs up before the decision.
    let mut stream = fixture.connect().await;
    stream.write_all(&bytes).await.unwrap();
    stream.set_zero_linger().unwrap();
    drop(stream);
    fixture.let_in.notify_one();
    fixture.is_empty().await;
}

#[tokio::test]
async fn a_reset_is_seen_whatever_the_worker_waits_for() {
    let mut fixture = Fixture::start().await;
    let idle = fixture.open().await;
    idle.set_zero_linger().unwrap();
    drop(idle);
    fixture
        .sees([Seen::Error, Seen::Close(Side::Network, false)])
        .await;
    // In the middle of a message.
    let mut halfway = fixture.open().await;
    halfway.write_all(&frame(0x82, b"half")[..8]).await.unwrap();
    halfway.set_zero_linger().unwrap();
    drop(halfway);
    fixture
        .sees([Seen::Error, Seen::Close(Side::Network, false)])
        .await;
    fixture.is_empty().await;
}

/// Opens a WebSocket and sends messages without reading, until the server stops reading, too.
async fn open_without_reading(fixture: &mut Fixture) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut stream = soon(socket.connect(fixture.server.local_addrs()[0]))
        .await
        .unwrap();
    stream
        .write_all(request("/", &[]).as_bytes())
        .await
        .unwrap();
    read_head(&mut stream).await;
    let messages = frame(0x82, &[7; 125]).repeat(1000);
    let patience = std::time::Duration::from_millis(300);
    while let Ok(written) = tokio::time::timeout(patience, stream.write_all(&messages)).await {
        written.unwrap();
    }
    stream
}

#[tokio::test]
async fn a_reset_is_seen_while_reading_is_paused() {
    let mut fixture = Fixture::start().await;
    let deaf = open_without_reading(&mut fixture).await;
    // Others on the same worker are not held up.
    let mut other = fixture.connect().await;
    let bytes = [request("/", &[]).as_bytes(), &frame(0x82, b"hi")].concat();
    other.write_all(&bytes).await.unwrap();
    read_head(&mut other).await;
    let mut echo = [0; 4];
    soon(other.read_exact(&mut echo)).await.unwrap();
    assert_eq!(&echo, b"\x82\x02hi");
    drop(other);
    deaf.set_zero_linger().unwrap();
    drop(deaf);
    fixture.is_empty().await;
}

#[tokio::test]
async fn reading_goes_on_after_a_pause_and_sees_the_end() {
    let mut fixture = Fixture::start().await;
    let mut deaf = open_without_reading(&mut fixture).await;
    deaf.shutdown().await.unwrap();
    // The client reads at last. The end comes after all messages; the last of them may be incomplete.
    let echoes = rest(&mut deaf).await;
    let whole = echoes.chunks_exact(127);
    assert!(whole.len() > 1000);
    assert!(whole.clone().all(|echo| echo[..2] == [0x82, 125]));
    fixture.is_empty().await;
}

/// On the same port and the same worker.
#[tokio::test]
async fn plain_http_beside_websockets_and_then_one_of_them() {
    let mut fixture = Fixture::start().await;
    let addr = fixture.server.local_addrs()[0];
    let (open, mut http2) = (
        fixture.open().await,
        crate::support::http2_client(addr).await,
    );
    let mut stream = fixture.connect().await;
    for _ in 0..2 {
        let get = b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n";
        stream.write_all(get).await.unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
        let mut body = [0; b"not found\n".len()];
        soon(stream.read_exact(&mut body)).await.unwrap();
    }
    let bytes = [request("/", &[]).as_bytes(), &frame(0x82, b"hi"), &CLOSE].concat();
    write_with_end(&mut stream, &bytes).await;
    fixture
        .sees([Seen::Open, Seen::Message(2), Seen::Close(Side::Peer, true)])
        .await;
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 101 "));
    assert_eq!(rest(&mut stream).await, b"\x82\x02hi\x88\x02\x03\xe8");
    let response = crate::support::http2_connect(&mut http2, "/", &[]).await;
    let mut websocket = crate::support::http2_websocket(response).await;
    crate::support::assert_echoes(&mut websocket, "over HTTP/2").await;
    drop((open, websocket, http2));
    fixture.is_empty().await;
}
