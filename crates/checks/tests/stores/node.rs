//! A real server that shares its presence through Redis.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use sockeye_checks::{Redis, Server};

/// A server process.
pub(crate) struct Node(pub(crate) Server);

impl Node {
    /// Starts a server. Returns `None` if its binary is not built.
    pub(crate) fn start(redis: &Redis, ttl: &str) -> Option<Self> {
        let url = redis.url();
        let store = ["--presence-store", &url, "--presence-ttl", ttl];
        let server = Server::start(&[&["--api-key", "s3cret"][..], &store].concat())?;
        Some(Self(server))
    }

    /// Returns the API's answer.
    pub(crate) fn ask(&self, path: &str) -> Value {
        let head = format!("GET {path} HTTP/1.1\r\nX-API-Key: s3cret\r\nConnection: close\r\n");
        let mut stream = self.send(&head);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).expect("JSON")
    }

    /// Returns whether this node says that the client is online.
    pub(crate) fn is_online(&self, client: &str) -> bool {
        self.ask(&format!("/api/presence/{client}"))["online"] == true
    }

    /// Opens a WebSocket as that client, which is online until the stream is dropped.
    pub(crate) fn connect(&self, client: &str) -> TcpStream {
        let head = format!(
            "GET /echo?client_id={client} HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        let mut stream = self.send(&head);
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 101");
        stream
    }

    fn send(&self, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.0.port())).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        let request = format!("{head}Host: 127.0.0.1\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        stream
    }
}

/// Time limit that only a failure reaches.
const LIMIT: Duration = Duration::from_secs(60);
