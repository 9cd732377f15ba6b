//! cargo run -p sockeye-examples --example axum_drain
//!
//! WebSockets of an axum server with the limits, the trusted proxies, the drain and the counts of a `Server`.

use std::{error::Error, net::SocketAddr};

use axum::{Extension, Router, response::Response, routing::any};
use sockeye::{
    CloseCode, Drain, Endpoint, Message, Reply, Server, ServerHandle, Session,
    upgrade::{Upgrades, WebSocketUpgrade},
};
use tokio::net::TcpListener;

struct Echo;

impl Endpoint for Echo {
    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::Echo
    }
}

async fn upgrade(upgrade: WebSocketUpgrade) -> Response {
    upgrade.endpoint(Echo)
}

fn app(websockets: &ServerHandle) -> Router {
    Router::new()
        .route("/echo", any(upgrade))
        .layer(Extension(Upgrades::of(websockets)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // It listens nowhere: axum does.
    let websockets = Server::unbound()
        .workers(1)
        .connections_max(10_000)
        .trusted_proxies(["10.0.0.0/8"])
        .start()
        .await?;
    let listener = TcpListener::bind("127.0.0.1:9000").await?;
    let service = app(&websockets).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });

    tokio::signal::ctrl_c().await?;
    println!("{} WebSockets are open", websockets.sessions());
    let drain = Drain::default().with_code(CloseCode::SERVICE_RESTART);
    let report = websockets.drain(drain).await;
    println!("{report:?}, {:?}", websockets.endings());
    Ok(())
}
