//! A client of plain HTTP and of WebSocket, each request on a connection of its own in memory.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::net::SocketAddr;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sockeye::{Drain, DrainReport, Role, ServerHandle, Settings, WebSocket};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

pub(crate) struct Client {
    server: ServerHandle,
    address: Option<SocketAddr>,
}

/// A response that is read as it comes. Its drop closes the connection.
pub(crate) struct Stream {
    body: Incoming,
    /// Bytes that came and were not asked for.
    rest: String,
    _connection: Option<Abort>,
}

/// A request without an answer so far. Its drop closes the connection.
pub(crate) struct Begun(DuplexStream);

/// The task of a connection, which ends with it.
struct Abort(Option<tokio::task::JoinHandle<()>>);

impl Abort {
    /// Has the task go on until the answer is read.
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Abort {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// All requests on one connection.
pub(crate) struct Http2(http2::SendRequest<Full<Bytes>>);

impl Client {
    pub(crate) fn new(server: ServerHandle) -> Self {
        Self {
            server,
            address: None,
        }
    }

    pub(crate) fn from_address(server: ServerHandle, address: &str) -> Self {
        Self {
            server,
            address: Some(address.parse().unwrap()),
        }
    }

    pub(crate) fn sessions(&self) -> usize {
        self.server.sessions()
    }

    pub(crate) async fn drain(&self, drain: Drain) -> DrainReport {
        self.server.drain(drain).await
    }

    fn connect(&self) -> DuplexStream {
        let (ours, theirs) = duplex(1 << 20);
        self.server.accept(theirs, self.address);
        ours
    }

    /// Sends a request, and returns the status and the body of the answer.
    pub(crate) async fn post(&self, path: &str, body: &str) -> (u16, String) {
        let answer = self.ask("POST", path, &[], body).await;
        (answer.status().as_u16(), body_of(answer).await)
    }

    /// Sends a GET, and returns the status and the body of the answer.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.ask("GET", path, &[], "").await;
        (answer.status().as_u16(), body_of(answer).await)
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> Response<Incoming> {
        let (response, connection) = self.send(method, path, fields, body).await;
        connection.keep();
        response
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> (Response<Incoming>, Abort) {
        let stream = TokioIo::new(self.connect());
        let (mut sender, connection) = http1::handshake(stream).await.unwrap();
        let connection = Abort(Some(tokio::spawn(async move {
            let _ = connection.await;
        })));
        let mut request = Request::builder().method(method).uri(path);
        request = request
            .header("host", "a.example")
            .header("connection", "close");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        (sender.send_request(request).await.unwrap(), connection)
    }

    /// Sends a request whose answer has no end.
    pub(crate) async fn stream(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Stream {
        let (response, connection) = self.send(method, path, fields, "").await;
        assert_eq!(response.status(), 200, "{path}");
        Stream {
            body: response.into_body(),
            rest: String::new(),
            _connection: Some(connection),
        }
    }

    /// Sends a request, and doesn't wait for the answer.
    pub(crate) async fn begin(&self, method: &str, path: &str, fields: &[&str]) -> Begun {
        let mut stream = self.connect();
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n");
        for field in fields {
            head += &format!("{field}\r\n");
        }
        stream.write_all((head + "\r\n").as_bytes()).await.unwrap();
        Begun(stream)
    }

    /// Sends a POST without its body, which would have `bytes`.
    pub(crate) async fn begin_body(&self, path: &str, field: &str, bytes: usize) -> Begun {
        let mut stream = self.connect();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a.example\r\nContent-Length: {bytes}\r\n{field}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Begun(stream)
    }

    /// Sends bytes, and returns all that comes until the server closes.
    pub(crate) async fn raw(&self, bytes: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    pub(crate) async fn websocket(&self, path: &str) -> WebSocket {
        let (head, stream) = self.upgrade(path).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        WebSocket::from_stream(stream, Role::Client, Settings::default()).unwrap()
    }

    pub(crate) async fn websocket_status(&self, path: &str) -> u16 {
        self.websocket_status_with(path, "").await
    }

    /// Asks for a WebSocket with these lines in the head, each with its end.
    pub(crate) async fn websocket_status_with(&self, path: &str, fields: &str) -> u16 {
        self.upgrade_with(path, fields).await.0[9..12]
            .parse()
            .unwrap()
    }

    async fn upgrade(&self, path: &str) -> (String, DuplexStream) {
        self.upgrade_with(path, "").await
    }

    async fn upgrade_with(&self, path: &str, fields: &str) -> (String, DuplexStream) {
        let mut stream = self.connect();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        (String::from_utf8(head).unwrap(), stream)
    }

    pub(crate) async fn http2(&self) -> Http2 {
        let stream = TokioIo::new(self.connect());
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
            .await
            .unwrap();
        tokio::spawn(connection);
        Http2(sender)
    }
}

impl Http2 {
    pub(crate) async fn ask(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        let answer = self.send(method, path, body).await;
        (answer.status().as_u16(), body_of(answer).await)
    }

    pub(crate) async fn stream(&mut self, method: &str, path: &str) -> Stream {
        Stream {
            body: self.send(method, path, "").await.into_body(),
            rest: String::new(),
            _connection: None,
        }
    }

    async fn send(&mut self, method: &str, path: &str, body: &str) -> Response<Incoming> {
        let uri = format!("http://a.example{path}");
        let request = Request::builder().method(method).uri(uri);
        let request = request
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        self.0.ready().await.unwrap();
        self.0.send_request(request).await.unwrap()
    }
}

impl Stream {
    /// Returns the next chunk; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let frame = self.body.frame().await?.unwrap();
        let bytes = frame.into_data().unwrap();
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// Returns what comes until the end of a line.
    pub(crate) async fn next_line(&mut self) -> String {
        let mut line = self.next_bytes(1).await;
        while !line.ends_with('\n') {
            line += &self.next_bytes(1).await;
        }
        line
    }

    /// Returns the next `count` bytes.
    pub(crate) async fn next_bytes(&mut self, count: usize) -> String {
        while self.rest.len() < count {
            let next = self.next().await.expect("the stream has ended");
            self.rest += &next;
        }
        self.rest.drain(..count).collect()
    }
}

pub(crate) async fn body_of(response: Response<Incoming>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}
