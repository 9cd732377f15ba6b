//! The server.

use bytes::BytesMut;
use sockudo_ws::{
    Config, Error, Message, WebSocketStream,
    handshake::{build_response, generate_accept_key, parse_request},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Serves for ever.
pub(crate) async fn serve() -> std::io::Result<()> {
    bench_door::Asked::read().plain_only();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    bench_door::listening(listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(echo(socket));
    }
}

async fn echo(mut socket: TcpStream) -> Result<(), Error> {
    upgrade(&mut socket).await?;
    let websocket = WebSocketStream::server(socket, Config::default());
    bench_door::echo(websocket, |message: &Message| {
        matches!(message, Message::Text(_) | Message::Binary(_))
    })
    .await
}

async fn upgrade(socket: &mut TcpStream) -> Result<(), Error> {
    let mut head = BytesMut::with_capacity(HEAD_BYTES);
    loop {
        if socket.read_buf(&mut head).await? == 0 {
            return Err(Error::ConnectionClosed);
        }
        if let Some((request, _)) = parse_request(&head)? {
            let accept = generate_accept_key(request.key);
            socket
                .write_all(&build_response(&accept, None, None))
                .await?;
            return Ok(());
        }
    }
}

/// Bytes. More than any request of the load generator.
const HEAD_BYTES: usize = 1 << 10;
