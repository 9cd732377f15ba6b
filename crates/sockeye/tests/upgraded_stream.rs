//! Streams whose opening handshake another library has done.

use std::{convert::Infallible, sync::Mutex};

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Empty;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
    upgrade,
};
use hyper_util::rt::TokioIo;
use sockeye::{
    CloseCode, Deflate, DeflateParams, Endpoint, ErrorKind, Message, Reply, Role, Session,
    Settings, UpgradedStream, WebSocket,
};
use sockeye_proto::{Sender, extension::Pool, handshake::accept_key};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::oneshot,
};

const AGREED: &str = "permessage-deflate; server_no_context_takeover; client_max_window_bits=10";

fn compressing() -> Settings {
    let mut deflate = Deflate::default();
    deflate.threshold_bytes = 1;
    Settings::default().with_deflate(deflate)
}

/// Returns the client's request, and the frame of a compressed text behind it.
fn request_and_frame(text: &str) -> (Vec<u8>, Vec<u8>) {
    let params = DeflateParams {
        server_no_context_takeover: true,
        client_no_context_takeover: false,
        server_max_window_bits: 15,
        client_max_window_bits: 10,
    };
    let mut deflate = Deflate::default();
    deflate.threshold_bytes = 1;
    let mut client = Sender::client([7; 32], Some((params, &deflate)));
    let mut frame = Vec::new();
    client
        .send(&text.into(), &mut Pool::new(), &mut frame)
        .unwrap();
    let request = "GET /room/1?name=ann HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
                   Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat.v2, chat.v1\r\n\
                   Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
    (request.into(), frame)
}

/// What hyper hands over: the request, the header fields of its response, the stream, and the bytes behind the head.
struct Handover {
    request: Request<()>,
    response_headers: HeaderMap,
    stream: DuplexStream,
    leftover: Bytes,
}

/// Has hyper do the handshake on `stream`, and returns what it hands over.
async fn handshake_of_hyper(stream: DuplexStream) -> Handover {
    let (tell, told) = oneshot::channel();
    let tell = Mutex::new(Some(tell));
    let answer = |mut request: Request<Incoming>| {
        let tell = tell.lock().unwrap().take().unwrap();
        async move {
            let mut response = Response::new(Empty::<Bytes>::new());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let key = request.headers()["sec-websocket-key"].to_str().unwrap();
            for (name, value) in [
                (header::SEC_WEBSOCKET_ACCEPT, accept_key(key)),
                (header::UPGRADE, "websocket".to_owned()),
                (header::CONNECTION, "upgrade".to_owned()),
                (header::SEC_WEBSOCKET_PROTOCOL, "chat.v1".to_owned()),
                (header::SEC_WEBSOCKET_EXTENSIONS, AGREED.to_owned()),
            ] {
                let value = HeaderValue::try_from(value).unwrap();
                response.headers_mut().insert(name, value);
            }
            let upgraded = upgrade::on(&mut request);
            let (parts, _) = request.into_parts();
            let request = Request::from_parts(parts, ());
            let _ = tell.send((request, response.headers().clone(), upgraded));
            Ok::<_, Infallible>(response)
        }
    };
    http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .with_upgrades()
        .await
        .unwrap();
    let (request, response_headers, upgraded) = told.await.unwrap();
    let parts = upgraded.await.unwrap().downcast::<TokioIo<DuplexStream>>();
    let parts = parts.unwrap();
    Handover {
        request,
        response_headers,
        stream: parts.io.into_inner(),
        leftover: parts.read_buf,
    }
}

/// Sends the request with the first `early` bytes of a frame in one write, has hyper do the handshake, and returns what
/// hyper hands over, the client's end of the stream, and the rest of the frame.
async fn handed_over(text: &str, early: usize) -> (Handover, DuplexStream, Vec<u8>) {
    let (ours, mut peer) = duplex(64 << 10);
    let (mut sent, mut frame) = request_and_frame(text);
    let rest = frame.split_off(early);
    sent.extend_from_slice(&frame);
    peer.write_all(&sent).await.unwrap();
    let handover = handshake_of_hyper(ours).await;
    assert_eq!(handover.leftover, frame);
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(peer.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    (handover, peer, rest)
}

fn upgraded(handover: Handover) -> UpgradedStream {
    UpgradedStream::new(handover.stream, Role::Server)
        .leftover(handover.leftover)
        .request(&handover.request)
        .response_headers(handover.response_headers)
        .settings(compressing())
}

#[tokio::test]
async fn a_websocket_goes_on_within_the_frame_that_hyper_has_begun_to_read() {
    let text = "river ".repeat(100);
    let (_, frame) = request_and_frame(&text);
    for early in [0, 1, 5, frame.len() - 1, frame.len()] {
        let (handover, mut peer, rest) = handed_over(&text, early).await;
        let mut websocket = WebSocket::from_upgraded(upgraded(handover)).unwrap();
        peer.write_all(&rest).await.unwrap();
        let message = websocket.recv().await.unwrap().unwrap();
        assert_eq!(message.as_text(), Some(&*text), "{early}");

        let session = websocket.session();
        assert_eq!(session.subprotocol(), Some("chat.v1"));
        let params = session.deflate().unwrap();
        assert!(params.server_no_context_takeover && !params.client_no_context_takeover);
        assert_eq!(params.client_max_window_bits, 10);
        let request = session.request().unwrap();
        assert_eq!(request.path(), "/room/1");
        assert_eq!(request.query_param("name").as_deref(), Some("ann"));
        assert_eq!(request.host(), Some("example.com"));
        assert_eq!(request.subprotocols(), ["chat.v2", "chat.v1"]);
        assert!(session.response_headers().is_empty());

        // The answer is compressed too: a text with RSV1.
        websocket.send(text.as_str()).await.unwrap();
        assert_eq!(peer.read_u8().await.unwrap(), 0xC1);
        assert!(peer.read_u8().await.unwrap() < 100);
    }
}

struct Echo;

impl Endpoint for Echo {
    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::Echo
    }
}

#[tokio::test]
async fn an_endpoint_goes_on_within_the_frame_that_hyper_has_begun_to_read() {
    let (handover, mut peer, rest) = handed_over("hello", 4).await;
    let session = Session::from_upgraded(upgraded(handover), Echo).unwrap();
    assert_eq!(session.subprotocol(), Some("chat.v1"));
    peer.write_all(&rest).await.unwrap();
    let mut head = [0; 2];
    peer.read_exact(&mut head).await.unwrap();
    // Text in one frame; five letters don't shrink.
    assert_eq!(head, [0x81, 5]);
    let mut payload = [0; 5];
    peer.read_exact(&mut payload).await.unwrap();
    assert_eq!(&payload, b"hello");
}

#[tokio::test]
async fn a_client_goes_on_behind_the_response_that_another_library_has_read() {
    let (ours, mut peer) = duplex(1024);
    let mut response = HeaderMap::new();
    response.insert("x-served-by", HeaderValue::from_static("a"));
    response.insert(
        header::SEC_WEBSOCKET_EXTENSIONS,
        HeaderValue::from_static("permessage-deflate; client_no_context_takeover"),
    );
    let upgraded = UpgradedStream::new(ours, Role::Client)
        .leftover(b"\x81\x05he")
        .response_headers(response)
        .settings(compressing());
    let mut websocket = WebSocket::from_upgraded(upgraded).unwrap();
    peer.write_all(b"llo").await.unwrap();
    let message = websocket.recv().await.unwrap();
    assert_eq!(message, Some(Message::from("hello")));
    let session = websocket.session();
    assert_eq!(session.response_headers()["x-served-by"], "a");
    assert!(session.deflate().unwrap().client_no_context_takeover);
    // A client's frame is masked.
    websocket.send("a".repeat(100)).await.unwrap();
    assert_eq!(peer.read_u8().await.unwrap(), 0xC1);
    assert!(peer.read_u8().await.unwrap() & 0x80 != 0);
    websocket.session().close(CloseCode::NORMAL, "");
}

fn params(server_max_window_bits: u8) -> DeflateParams {
    DeflateParams {
        server_no_context_takeover: true,
        client_no_context_takeover: false,
        server_max_window_bits,
        client_max_window_bits: 15,
    }
}

fn response(name: header::HeaderName, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
}

/// Expects each to be refused with this text.
fn assert_refused<const N: usize>(all: [(UpgradedStream, &str); N]) {
    for (upgraded, text) in all {
        let error = WebSocket::from_upgraded(upgraded).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(text), "{error}, not {text}");
    }
}

fn of(role: Role) -> UpgradedStream {
    UpgradedStream::new(duplex(64).0, role)
}

fn server() -> UpgradedStream {
    of(Role::Server).settings(compressing())
}

fn extensions(value: &'static str) -> HeaderMap {
    response(header::SEC_WEBSOCKET_EXTENSIONS, value)
}

fn subprotocol(value: &'static str) -> HeaderMap {
    response(header::SEC_WEBSOCKET_PROTOCOL, value)
}

#[tokio::test]
async fn compression_that_the_two_ends_cannot_have_agreed_on_is_refused() {
    let mut restricted = compressing();
    restricted.deflate = restricted
        .deflate
        .map(|deflate| deflate.with_server_max_window_bits(10));
    let larger = extensions("permessage-deflate; server_max_window_bits=12");
    let without_settings = "permessage-deflate was agreed on, and Settings::deflate is None";
    let unusable = "the response agrees to extensions that can't be used";
    assert_refused([
        (of(Role::Server).deflate(params(15)), without_settings),
        (
            of(Role::Server).response_headers(extensions(AGREED)),
            without_settings,
        ),
        (
            server().deflate(params(16)),
            "window bits of permessage-deflate are 8 to 15",
        ),
        (
            server()
                .deflate(params(15))
                .response_headers(extensions(AGREED)),
            "the parameters of permessage-deflate are not those of the response",
        ),
        (
            server()
                .deflate(params(15))
                .response_headers(subprotocol("a")),
            "the response doesn't agree to permessage-deflate",
        ),
        (server().response_headers(extensions("x-other")), unusable),
        (
            of(Role::Client)
                .settings(restricted)
                .response_headers(larger),
            unusable,
        ),
    ]);
    WebSocket::from_upgraded(server()).unwrap();
    WebSocket::from_upgraded(server().deflate(params(8))).unwrap();
}

#[tokio::test]
async fn a_subprotocol_that_the_two_ends_cannot_have_agreed_on_is_refused() {
    let offering = |names| {
        let request = Request::get("/").header(header::SEC_WEBSOCKET_PROTOCOL, names);
        request.body(()).unwrap()
    };
    let mut two = subprotocol("a");
    two.append(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static("b"),
    );
    assert_refused([
        (
            server().subprotocol("not a token"),
            "the name of a subprotocol is a token",
        ),
        (
            server().subprotocol("b").response_headers(subprotocol("a")),
            "the subprotocol is not that of the response",
        ),
        (
            server().response_headers(two),
            "the response names two subprotocols",
        ),
        (
            server().request(&offering("a, b")).subprotocol("c"),
            "the request doesn't offer this subprotocol",
        ),
    ]);
    for upgraded in [
        server().request(&offering("a, b")).subprotocol("b"),
        server().subprotocol("a").response_headers(subprotocol("a")),
    ] {
        WebSocket::from_upgraded(upgraded).unwrap();
    }
}
