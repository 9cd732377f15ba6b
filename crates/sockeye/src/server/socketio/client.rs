//! A client in memory, for tests.

use std::fmt;

use crate::{Closed, Error, websocket::WebSocket};

/// A client in memory, for tests of namespaces. It speaks packets as text, so that a test shows what a client sees:
/// `2["event",1]` is an event, `21["event",1]` one that asks for an ack, `31[2]` the ack.
///
/// ```
/// use sockeye::socketio::{Namespace, SocketIo};
///
/// # async fn example() -> Result<(), sockeye::Error> {
/// let sum = Namespace::new("/", |_request| async { Ok(()) })
///     .on("sum", |_socket, (a, b): (i64, i64)| async move { a + b });
/// let server = SocketIo::new().namespace(sum).in_memory();
/// let mut client = server.connect()?;
/// client.join("/", "").await?;
/// client.send("27[\"sum\",1,2]").await?;
/// assert_eq!(client.next().await?.as_deref(), Some("37[3]"));
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
pub struct TestClient {
    websocket: WebSocket,
}

impl TestClient {
    pub(super) fn new(websocket: WebSocket) -> Self {
        Self { websocket }
    }

    /// Sends a packet.
    ///
    /// # Errors
    ///
    /// The connection has ended.
    pub async fn send(&self, packet: &str) -> Result<(), Error> {
        self.websocket.send(packet).await
    }

    /// Sends an attachment.
    ///
    /// # Errors
    ///
    /// The connection has ended.
    pub async fn send_attachment(&self, data: &[u8]) -> Result<(), Error> {
        self.websocket.send(data).await
    }

    /// Connects to a namespace. `auth` is a JSON object, or nothing. Returns the server's packet: `0{"sid":"…"}`, or `4{"message":"…"}`.
    ///
    /// # Errors
    ///
    /// The connection has ended.
    pub async fn join(&mut self, namespace: &str, auth: &str) -> Result<Option<String>, Error> {
        let packet = match namespace {
            "/" => format!("0{auth}"),
            _ => format!("0{namespace},{auth}"),
        };
        self.send(&packet).await?;
        self.next().await
    }

    /// Waits for the next packet. An attachment is `b` and its bytes as text. `None` if the server has closed the connection.
    ///
    /// # Errors
    ///
    /// The connection has ended otherwise.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        let message = self.websocket.recv().await?;
        Ok(message.map(|message| match message.as_text() {
            Some(text) => text.to_owned(),
            None => format!("b{}", String::from_utf8_lossy(message.as_bytes())),
        }))
    }

    /// Returns how the connection has ended; `None` while it is open.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.websocket.closed()
    }
}

impl fmt::Debug for TestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestClient")
    }
}
