//! Raw clients that can break every rule, and endpoints for them.

use std::{net::SocketAddr, time::Duration};

use axum::body::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper::{body::Incoming, client::conn::http2, ext::Protocol};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sockeye::{
    Closed, Endpoint, Limits, Message, Reply, Role, Server, Session, Settings, WebSocket,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc::UnboundedSender,
    task::JoinHandle,
    time::timeout,
};

/// Answers every message with itself.
pub(crate) struct Echo;

impl Endpoint for Echo {
    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::Echo
    }
}

/// Echoes, and sends each session to the test.
pub(crate) struct Announcer(pub(crate) UnboundedSender<Session>);

impl Endpoint for Announcer {
    fn on_open(&mut self, session: &Session) {
        let _ = self.0.send(session.clone());
    }

    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::Echo
    }
}

/// Returns a server with an echo endpoint, on any free port.
pub(crate) fn echo_server() -> Server {
    Server::bind("127.0.0.1:0").route("/echo", |_request| Ok(Echo))
}

/// Returns settings with a short handshake timeout.
pub(crate) fn impatient() -> Settings {
    let mut limits = Limits::default();
    limits.handshake_timeout = Duration::from_millis(200);
    let mut settings = Settings::default();
    settings.limits = limits;
    settings
}

/// Returns a valid handshake for `path`, with more fields.
pub(crate) fn request(path: &str, fields: &[&str]) -> String {
    let mut text = format!(
        "GET {path} HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    );
    for field in fields {
        text += &format!("{field}\r\n");
    }
    text + "\r\n"
}

/// Returns a masked frame with the key 0, which leaves the payload as it is.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ ..126 => frame.push(0x80 | len as u8),
        len => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Sends `bytes` and reads until the server closes.
pub(crate) async fn exchange(addr: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(addr).await;
    stream.write_all(bytes).await.unwrap();
    read_to_end(&mut stream).await
}

/// Returns the status of the answer to `bytes`.
pub(crate) async fn status(addr: SocketAddr, bytes: &[u8]) -> u16 {
    status_of(&exchange(addr, bytes).await)
}

pub(crate) fn status_of(answer: &str) -> u16 {
    answer[9..12].parse().expect(answer)
}

pub(crate) async fn connect(addr: SocketAddr) -> TcpStream {
    soon(TcpStream::connect(addr)).await.unwrap()
}

/// Opens a WebSocket on `/` whose client the test plays. The head of the answer is read.
pub(crate) async fn upgraded(addr: SocketAddr) -> TcpStream {
    let mut stream = connect(addr).await;
    let bytes = request("/", &[]);
    stream.write_all(bytes.as_bytes()).await.unwrap();
    read_head(&mut stream).await;
    stream
}

pub(crate) async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// Reads the next head, and not a byte more.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match soon(stream.read_u8()).await {
            Ok(byte) => head.push(byte),
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&head)),
        }
    }
    String::from_utf8(head).unwrap()
}

/// Opens a WebSocket on `path`, and returns it with the head of the answer.
pub(crate) async fn open(addr: SocketAddr, path: &str, fields: &[&str]) -> (WebSocket, String) {
    open_on(connect(addr).await, path, fields).await
}

pub(crate) async fn open_on<S>(mut stream: S, path: &str, fields: &[&str]) -> (WebSocket, String)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let bytes = request(path, fields);
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(
        head.to_lowercase()
            .contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=")
    );
    let websocket = WebSocket::from_stream(stream, Role::Client, Settings::default()).unwrap();
    (websocket, head)
}

/// Sends a text and expects it back.
pub(crate) async fn assert_echoes(websocket: &mut WebSocket, text: &str) {
    soon(websocket.send(text)).await.unwrap();
    assert_eq!(recv_text(websocket).await, text);
}

/// Receives until the end in a task, which returns how the WebSocket ended.
pub(crate) fn attend(mut websocket: WebSocket) -> JoinHandle<Closed> {
    tokio::spawn(async move {
        while let Ok(Some(_)) = websocket.recv().await {}
        websocket.session().closed().await
    })
}

pub(crate) async fn recv_text(websocket: &mut WebSocket) -> String {
    let message = soon(websocket.recv()).await.unwrap().expect("a message");
    message.as_text().expect("text").to_owned()
}

pub(crate) type Http2 = http2::SendRequest<Empty<Bytes>>;

/// Connects with HTTP/2 without TLS, by prior knowledge.
pub(crate) async fn http2_client(addr: SocketAddr) -> Http2 {
    http2_client_on(connect(addr).await).await
}

pub(crate) async fn http2_client_on<S>(stream: S) -> Http2
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    // The server's settings, which allow an extended CONNECT, come before its first answer.
    let request = Request::get("http://a.example/")
        .body(Empty::new())
        .unwrap();
    let response = soon(sender.send_request(request)).await.unwrap();
    soon(response.into_body().collect()).await.unwrap();
    sender
}

/// Sends an extended CONNECT (RFC 8441), with more fields.
pub(crate) async fn http2_connect(
    sender: &mut Http2,
    path: &str,
    fields: &[(&str, &str)],
) -> Response<Incoming> {
    let mut request = Request::connect(format!("http://a.example{path}"))
        .version(Version::HTTP_2)
        .header("sec-websocket-version", "13")
        .extension(Protocol::from_static("websocket"));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::new()).unwrap();
    soon(sender.send_request(request)).await.unwrap()
}

pub(crate) async fn http2_websocket(response: Response<Incoming>) -> WebSocket {
    let stream = soon(hyper::upgrade::on(response)).await.unwrap();
    WebSocket::from_stream(TokioIo::new(stream), Role::Client, Settings::default()).unwrap()
}

/// Waits for `future` and fails after 20 s, which names the line of the caller.
#[track_caller]
pub(crate) fn soon<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match timeout(Duration::from_secs(20), future).await {
            Ok(output) => output,
            Err(_) => panic!("nothing happened at {caller}"),
        }
    }
}
