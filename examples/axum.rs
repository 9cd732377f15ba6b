//! cargo run -p sockeye-examples --example axum
//!
//! A WebSocket as one route of an axum application.

use axum::{Router, response::Response, routing::any};
use sockeye::{Error, WebSocket, upgrade::WebSocketUpgrade};

async fn echo(mut websocket: WebSocket) -> Result<(), Error> {
    while let Some(message) = websocket.recv().await? {
        websocket.send(message).await?;
    }
    Ok(())
}

async fn upgrade(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|websocket| async {
        if let Err(error) = echo(websocket).await {
            eprintln!("{}", error.report());
        }
    })
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = Router::new().route("/echo", any(upgrade));
    axum::serve(tokio::net::TcpListener::bind("127.0.0.1:9000").await?, app).await
}
