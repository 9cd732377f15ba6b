//! cargo run -p sockeye-examples --example testing
//!
//! Tests without sockets: one endpoint over a pipe in memory, and a whole server with its routes.

use axum::http::StatusCode;
use sockeye::{
    CloseCode, Endpoint, Error, Message, Refusal, Reply, Role, Server, Session, Settings, WebSocket,
};
use tokio::io::duplex;

struct Shout;

impl Endpoint for Shout {
    fn on_message(&mut self, _: &Session, message: Message<'_>) -> Reply {
        let text = message.as_text().unwrap_or("?").to_uppercase();
        Reply::Message(text.into())
    }
}

/// Bytes that the pipe holds in each direction.
const PIPE_BYTES: usize = 64 << 10;

/// An endpoint and a client, without a handshake.
async fn an_endpoint_answers() -> Result<(), Error> {
    let (server_end, client_end) = duplex(PIPE_BYTES);
    Session::from_stream(server_end, Role::Server, Settings::default(), Shout)?;
    let mut client = WebSocket::from_stream(client_end, Role::Client, Settings::default())?;

    client.send("hello").await?;
    let answer = client.recv().await?.expect("an answer");
    assert_eq!(answer.as_text(), Some("HELLO"));
    let closed = client.close(CloseCode::NORMAL, "").await;
    assert!(closed.is_clean());
    Ok(())
}

/// A server without a listener: routes, origins and refusals are those of the real one.
async fn a_route_refuses() -> Result<(), Error> {
    let server = Server::unbound()
        .route("/shout/{room}", |request| match request.param("room") {
            Some("river") => Ok(Shout),
            _ => Err(Refusal::new(StatusCode::NOT_FOUND)),
        })
        .start()
        .await?;
    for (url, status) in [
        ("ws://test/shout/river", None),
        ("ws://test/shout/lake", Some(StatusCode::NOT_FOUND)),
    ] {
        let (server_end, client_end) = duplex(PIPE_BYTES);
        server.accept(server_end, None);
        let connected = sockeye::connect(url).over(client_end).await;
        assert_eq!(connected.err().and_then(|error| error.status()), status);
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    an_endpoint_answers().await?;
    a_route_refuses().await?;
    println!("all tests passed");
    Ok(())
}
