//! cargo run -p sockeye-examples --example hyper
//!
//! A WebSocket on a hyper server of your own.

use std::convert::Infallible;

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use sockeye::{Error, WebSocket};
use tokio::net::TcpListener;

async fn echo(mut websocket: WebSocket) -> Result<(), Error> {
    while let Some(message) = websocket.recv().await? {
        websocket.send(message).await?;
    }
    Ok(())
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    Ok(match sockeye::upgrade::upgrade(&mut request) {
        Ok(upgrade) => upgrade.on_upgrade(|websocket| async {
            if let Err(error) = echo(websocket).await {
                eprintln!("{}", error.report());
            }
        }),
        Err(refusal) => refusal.into_response(),
    })
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:9000").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let connection = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(answer))
            // Without it hyper keeps the connection, and the upgrade fails.
            .with_upgrades();
        tokio::spawn(async {
            if let Err(error) = connection.await {
                eprintln!("{error}");
            }
        });
    }
}
