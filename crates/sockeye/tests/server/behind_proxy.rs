//! Servers behind a proxy: the PROXY protocol and forwarding header fields.

use std::net::SocketAddr;

use sockeye::{Endpoint, ErrorKind, Message, Reply, Server, ServerHandle, Session, WebSocket};
use tokio::io::AsyncWriteExt as _;

use crate::{
    support::{
        connect, http2_client_on, http2_connect, http2_websocket, impatient, open_on, read_to_end,
        request, soon,
    },
    tls::{dial_on, identity},
};

/// Sends the client's and the peer's address, as the server sees them: `CLIENT of PEER`.
struct Who(String);

impl Endpoint for Who {
    fn on_open(&mut self, session: &Session) {
        let _ = session.try_send(&self.0);
    }

    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::Echo
    }
}

fn with_route(server: Server) -> Server {
    server.route("/who", |request| {
        let client = request.client_addr().expect("TCP has addresses");
        let peer = request.peer_addr().expect("TCP has addresses");
        Ok(Who(format!("{client} of {}", peer.ip())))
    })
}

async fn start(server: Server) -> ServerHandle {
    with_route(server).start().await.unwrap()
}

async fn told(websocket: &mut WebSocket) -> String {
    let message = soon(websocket.recv()).await.unwrap().unwrap();
    message.as_text().unwrap().to_owned()
}

/// Returns a binary head for 192.0.2.7:56324 with a note of `note_bytes`.
fn binary_head(note_bytes: u16) -> Vec<u8> {
    let mut head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    head.extend((12 + note_bytes).to_be_bytes());
    head.extend([192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 1, 0xbb]);
    head.resize(head.len() + usize::from(note_bytes), 0xee);
    head
}

const LINE: &[u8] = b"PROXY TCP6 2001:db8::7 ::1 56324 443\r\n";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0";

#[tokio::test]
async fn the_address_that_the_proxy_names_is_the_peers() {
    let server = start(Server::unbound().listen_behind_proxy("127.0.0.1:0", None)).await;
    let addr = server.local_addrs()[0];
    for (head, expected) in [
        (LINE.to_vec(), "2001:db8::7 of 2001:db8::7"),
        (binary_head(0), "192.0.2.7 of 192.0.2.7"),
        (binary_head(4000), "192.0.2.7 of 192.0.2.7"),
        (LOCAL.to_vec(), "127.0.0.1 of 127.0.0.1"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1 of 127.0.0.1"),
    ] {
        // The head comes together with the request, and byte by byte.
        let mut stream = connect(addr).await;
        stream.write_all(&head).await.unwrap();
        let (mut websocket, _) = open_on(stream, "/who", &[]).await;
        assert_eq!(told(&mut websocket).await, expected);

        let mut stream = connect(addr).await;
        stream.set_nodelay(true).unwrap();
        for byte in head.iter().take(60) {
            stream.write_u8(*byte).await.unwrap();
            tokio::task::yield_now().await;
        }
        stream.write_all(&head[head.len().min(60)..]).await.unwrap();
        let (mut websocket, _) = open_on(stream, "/who", &[]).await;
        assert_eq!(told(&mut websocket).await, expected);
    }
}

#[tokio::test]
async fn tls_begins_behind_the_head() {
    let (tls, roots) = identity();
    let server = start(Server::unbound().listen_behind_proxy("127.0.0.1:0", Some(tls))).await;
    for (head, expected) in [
        (LINE.to_vec(), "2001:db8::7 of 2001:db8::7"),
        (binary_head(100), "192.0.2.7 of 192.0.2.7"),
    ] {
        let mut stream = connect(server.local_addrs()[0]).await;
        stream.write_all(&head).await.unwrap();
        let stream = dial_on(stream, roots.clone(), &[]).await;
        let (mut websocket, _) = open_on(stream, "/who", &[]).await;
        assert_eq!(told(&mut websocket).await, expected);
    }
}

#[tokio::test]
async fn a_connection_without_a_head_is_closed_without_an_answer() {
    let (tls, _) = identity();
    let server = Server::unbound()
        .listen_behind_proxy("127.0.0.1:0", None)
        .listen_behind_proxy("127.0.0.1:0", Some(tls));
    let server = start(server).await;
    let websocket = request("/who", &[]);
    for addr in server.local_addrs() {
        for bytes in [
            websocket.as_bytes(),
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 056324 443\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\0\0\0\0\0\0",
        ] {
            let mut stream = connect(*addr).await;
            let _ = stream.write_all(bytes).await;
            assert_eq!(answer(stream).await, "", "{:?}", bytes.escape_ascii());
        }
    }
}

/// Reads until the end of the stream; a reset is an end, too.
async fn answer(mut stream: tokio::net::TcpStream) -> String {
    use tokio::io::AsyncReadExt as _;
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_missing_head_is_given_up_after_the_handshake_timeout() {
    let server = Server::unbound().listen_behind_proxy("127.0.0.1:0", None);
    let server = start(server.settings(impatient())).await;
    let mut stream = connect(server.local_addrs()[0]).await;
    stream.write_all(b"PROXY TCP4 ").await.unwrap();
    assert_eq!(answer(stream).await, "");
}

#[tokio::test]
async fn a_listener_that_expects_no_head_takes_none() {
    let server = start(Server::bind("127.0.0.1:0")).await;
    let mut stream = connect(server.local_addrs()[0]).await;
    let bytes = [LINE, request("/who", &[]).as_bytes()].concat();
    stream.write_all(&bytes).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client_in_header_fields() {
    let server = Server::bind("127.0.0.1:0").trusted_proxies(["127.0.0.0/8", "10.0.0.0/8"]);
    let server = start(server).await;
    let addr = server.local_addrs()[0];
    for (fields, expected) in [
        (
            &["X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.1.1.1"][..],
            "192.0.2.7 of 127.0.0.1",
        ),
        (
            &["Forwarded: for=\"[2001:db8::7]:1\";proto=https"],
            "2001:db8::7 of 127.0.0.1",
        ),
        (&[], "127.0.0.1 of 127.0.0.1"),
    ] {
        let (mut websocket, _) = open_on(connect(addr).await, "/who", fields).await;
        assert_eq!(told(&mut websocket).await, expected);
    }
}

#[tokio::test]
async fn no_proxy_is_trusted_by_default() {
    let server = start(Server::bind("127.0.0.1:0")).await;
    let fields = ["X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.7"];
    let stream = connect(server.local_addrs()[0]).await;
    let (mut websocket, _) = open_on(stream, "/who", &fields).await;
    assert_eq!(told(&mut websocket).await, "127.0.0.1 of 127.0.0.1");
}

#[tokio::test]
async fn both_kinds_of_proxy_may_follow_each_other() {
    let server = Server::unbound()
        .listen_behind_proxy("127.0.0.1:0", None)
        .trusted_proxies(["192.0.2.7"]);
    let server = start(server).await;
    for (head, expected) in [
        (binary_head(0), "203.0.113.9 of 192.0.2.7"),
        // The server doesn't trust this proxy.
        (LINE.to_vec(), "2001:db8::7 of 2001:db8::7"),
    ] {
        let mut stream = connect(server.local_addrs()[0]).await;
        stream.write_all(&head).await.unwrap();
        let fields = ["X-Forwarded-For: 203.0.113.9"];
        let (mut websocket, _) = open_on(stream, "/who", &fields).await;
        assert_eq!(told(&mut websocket).await, expected);
    }
}

#[tokio::test]
async fn a_page_is_of_the_same_origin_as_the_host_that_the_browser_asked_the_proxy_for() {
    let trusting = Server::bind("127.0.0.1:0").trusted_proxies(["127.0.0.1"]);
    let trusting = start(trusting).await;
    let doubting = start(Server::bind("127.0.0.1:0")).await;
    // The proxy uses another name for the server, as nginx does by default.
    let by_x = [
        "Origin: https://chat.example",
        "X-Forwarded-Host: chat.example",
        "X-Forwarded-Proto: https",
    ];
    let by_standard = [
        "Origin: https://chat.example",
        "Forwarded: for=192.0.2.7;host=chat.example;proto=https",
    ];
    for fields in [&by_x[..], &by_standard] {
        assert_eq!(status(trusting.local_addrs()[0], fields).await, "101");
        assert_eq!(status(doubting.local_addrs()[0], fields).await, "403");
    }
    // The scheme decides which port a host without one means.
    let other_scheme = ["Origin: http://chat.example", by_x[1], by_x[2]];
    assert_eq!(
        status(trusting.local_addrs()[0], &other_scheme).await,
        "403"
    );
}

async fn status(addr: SocketAddr, fields: &[&str]) -> String {
    use tokio::io::AsyncReadExt as _;
    let mut stream = connect(addr).await;
    let bytes = request("/who", fields);
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    soon(stream.read_exact(&mut status)).await.unwrap();
    String::from_utf8(status[9..].to_vec()).unwrap()
}

#[tokio::test]
async fn http2_knows_the_address_too() {
    let server = start(Server::unbound().listen_behind_proxy("127.0.0.1:0", None)).await;
    let mut stream = connect(server.local_addrs()[0]).await;
    stream.write_all(&binary_head(0)).await.unwrap();
    let mut client = http2_client_on(stream).await;
    let mut websocket = http2_websocket(http2_connect(&mut client, "/who", &[]).await).await;
    assert_eq!(told(&mut websocket).await, "192.0.2.7 of 192.0.2.7");
}

#[tokio::test]
async fn a_malformed_network_is_an_error_before_anything_listens() {
    let error = with_route(Server::bind("127.0.0.1:0").trusted_proxies(["10.0.0.0/40"]))
        .start()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}
