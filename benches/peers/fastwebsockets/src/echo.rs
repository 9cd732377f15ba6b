//! The server.

use std::convert::Infallible;

use fastwebsockets::{FragmentCollector, OpCode, WebSocketError, upgrade};
use http_body_util::Empty;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

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
    let Ok((response, upgrading)) = upgrade::upgrade(&mut request) else {
        let mut response = Response::new(Empty::new());
        *response.status_mut() = hyper::StatusCode::BAD_REQUEST;
        return Ok(response);
    };
    // Without tokio's budget, which only matters where there are other tasks to be fair to.
    tokio::spawn(tokio::task::unconstrained(talk(upgrading)));
    Ok(response)
}

async fn talk(upgrading: upgrade::UpgradeFut) -> Result<(), WebSocketError> {
    let mut websocket = upgrading.await?;
    websocket.set_max_message_size(MESSAGE_BYTES_MAX);
    let mut websocket = FragmentCollector::new(websocket);
    loop {
        let frame = websocket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => websocket.write_frame(frame).await?,
            _ => {}
        }
    }
}

/// Bytes. Larger than any message of the benchmarks.
const MESSAGE_BYTES_MAX: usize = 64 << 20;
