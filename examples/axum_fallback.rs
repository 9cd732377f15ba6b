//! cargo run -p sockeye-examples --example axum_fallback
//!
//! Sockeye's own server on the workers, with the pages and the HTTP API of an axum application beside it.

use axum::{Router, response::Html, routing::get};
use sockeye::{Endpoint, Error, Message, Reply, Server, Session};

struct Echo;

impl Endpoint for Echo {
    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::Echo
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let pages = Router::new().route("/", get(async || Html("<h1>A page</h1>")));
    Server::bind("127.0.0.1:9000")
        .route("/echo", |_| Ok(Echo))
        // What no route takes, and every request that isn't a WebSocket's.
        .fallback(pages)
        .serve()
        .await
}
