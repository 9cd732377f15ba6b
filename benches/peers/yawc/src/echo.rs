//! The server.

use std::convert::Infallible;

use futures_util::StreamExt as _;
use http_body_util::Empty;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use yawc::{
    Options, WebSocket, WebSocketError,
    frame::{Frame, OpCode},
};

/// Serves for ever.
pub(crate) async fn serve() -> std::io::Result<()> {
    bench_door::Asked::read().plain_only();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    bench_door::listening(listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let connection = http1::Builder::new()
            .serve_connection(TokioIo::new(socket), service_fn(open))
            .with_upgrades();
        tokio::spawn(connection);
    }
}

async fn open(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    // What it checks by default and others always do: that text is UTF-8.
    let options = Options::default()
        .without_compression()
        .with_utf8()
        .with_limits(MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX);
    let Ok((response, upgrading)) = WebSocket::upgrade_with_options(&mut request, options) else {
        let mut response = Response::new(Empty::new());
        *response.status_mut() = hyper::StatusCode::BAD_REQUEST;
        return Ok(response);
    };
    tokio::spawn(async move {
        let websocket = upgrading.await?;
        let websocket = websocket.map(Ok::<Frame, WebSocketError>);
        bench_door::echo(websocket, |frame: &Frame| {
            matches!(frame.opcode(), OpCode::Text | OpCode::Binary)
        })
        .await
    });
    Ok(response)
}

/// Bytes. Larger than any message of the benchmarks.
const MESSAGE_BYTES_MAX: usize = 64 << 20;
