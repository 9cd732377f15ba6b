//! A request of plain HTTP to a server without a socket.

use sockeye::ServerHandle;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

/// Sends a request on a connection of its own. Returns the status and the body of the answer.
pub(crate) async fn ask(
    server: &ServerHandle,
    method: &str,
    path: &str,
    body: &[u8],
) -> (u16, String) {
    let (mut ours, theirs) = duplex(1 << 20);
    server.accept(theirs, None);
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    ours.write_all(head.as_bytes()).await.expect("a server");
    // It may answer before it has read all.
    let _ = ours.write_all(body).await;
    let mut answer = String::new();
    ours.read_to_string(&mut answer).await.expect("text");
    let status = answer[9..12].parse().expect("a status");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    (status, body.to_owned())
}
