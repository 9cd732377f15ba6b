//! The server.

use tokio::net::{TcpListener, TcpStream};
use tokio_websockets::{Config, Error, Limits, Message, ServerBuilder};

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

async fn echo(socket: TcpStream) -> Result<(), Error> {
    // Messages come back in one frame, as from everybody else.
    let config = Config::default()
        .frame_size(usize::MAX)
        .flush_threshold(FLUSH_BYTES);
    let builder = ServerBuilder::new()
        .config(config)
        .limits(Limits::unlimited());
    let (_, websocket) = builder.accept(socket).await?;
    bench_door::echo(websocket, |message: &Message| {
        message.is_text() || message.is_binary()
    })
    .await
}

/// Bytes. So many gather before it writes unasked.
const FLUSH_BYTES: usize = 64 << 10;
