//! The server: an echo in two styles, and the usual room.

use std::io;

use bench_door::Asked;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::broadcast::{self, Sender},
};
use tokio_tungstenite::{
    WebSocketStream, accept_async_with_config, accept_hdr_async_with_config,
    tungstenite::{
        Error, Message,
        handshake::server::{Request, Response},
        protocol::WebSocketConfig,
    },
};

/// Serves for ever.
pub(crate) async fn serve() -> io::Result<()> {
    let asked = Asked::read();
    asked.plain_only();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    bench_door::listening(listener.local_addr()?);
    let (room, _) = broadcast::channel(PUBLICATIONS_MAX);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        match asked.style.as_deref() {
            Some("broadcast") => drop(tokio::spawn(visit(socket, room.clone()))),
            Some("tuned") => drop(tokio::spawn(tuned(socket))),
            _ => drop(tokio::spawn(plain(socket))),
        }
    }
}

async fn plain(socket: TcpStream) -> Result<(), Error> {
    let mut websocket = accept_async_with_config(socket, None).await?;
    while let Some(message) = websocket.next().await {
        let message = message?;
        if is_data(&message) {
            websocket.send(message).await?;
        }
    }
    Ok(())
}

async fn tuned(socket: TcpStream) -> Result<(), Error> {
    let websocket = accept_async_with_config(socket, Some(small())).await?;
    bench_door::echo(websocket, is_data).await
}

/// One task per client and one channel for all: what everybody builds first.
async fn visit(socket: TcpStream, room: Sender<Message>) -> Result<(), Error> {
    let mut path = String::new();
    #[expect(
        clippy::result_large_err,
        reason = "the library's own type, in a callback that never fails"
    )]
    let note = |request: &Request, response: Response| {
        request.uri().path().clone_into(&mut path);
        Ok(response)
    };
    let websocket = accept_hdr_async_with_config(socket, note, Some(small())).await?;
    match path.as_str() {
        "/room" => receive(websocket, room).await,
        "/publish" => publish(websocket, room).await,
        _ => bench_door::echo(websocket, is_data).await,
    }
}

async fn receive(
    mut websocket: WebSocketStream<TcpStream>,
    room: Sender<Message>,
) -> Result<(), Error> {
    let mut publications = room.subscribe();
    loop {
        tokio::select! {
            message = websocket.next() => match message {
                Some(message) => drop(message?),
                None => return Ok(()),
            },
            publication = publications.recv() => {
                let Ok(publication) = publication else {
                    // Too slow, and something is lost: the load generator will say so.
                    continue;
                };
                websocket.send(publication).await?;
            }
        }
    }
}

async fn publish(
    mut websocket: WebSocketStream<TcpStream>,
    room: Sender<Message>,
) -> Result<(), Error> {
    while let Some(message) = websocket.next().await {
        let message = message?;
        if is_data(&message) {
            // Nobody in the room is no error.
            let _ = room.send(message);
        }
    }
    Ok(())
}

fn is_data(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}

/// Buffers that fit the messages: the default of 128 KiB is a cache miss per message.
fn small() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES)
}

/// Bytes.
const READ_BUFFER_BYTES: usize = 4 << 10;

/// Publications that a receiver may lag behind.
const PUBLICATIONS_MAX: usize = 1024;
