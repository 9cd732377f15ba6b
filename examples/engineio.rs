//! cargo run -p sockeye-examples --example engineio
//!
//! Engine.IO 4, the protocol below Socket.IO: an endpoint that clients reach by HTTP requests and by WebSocket. The times are those
//! that the protocol's own suite of checks expects (github.com/socketio/engine.io-protocol). An argument is the address on which to
//! listen. In a page: `eio("http://localhost:3000")`, by npm `engine.io-client`.

use std::time::Duration;

use sockeye::{
    Endpoint, EngineIo, EngineIoSettings, Message, Origins, Reply, Route, Server, Session,
};

struct Echo;

impl Endpoint for Echo {
    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::Echo
    }
}

#[tokio::main]
async fn main() -> Result<(), sockeye::Error> {
    let addr = std::env::args().nth(1);
    let addr = addr.unwrap_or("localhost:3000".to_owned());
    // An echo protects nothing, so that pages of any origin may use it.
    let route = Route::new("/engine.io", |_request| Ok(Echo)).origins(Origins::Any);
    // The suite wants short times; the defaults are 25 s and 20 s.
    let settings = EngineIoSettings::default()
        .with_ping_interval(Duration::from_millis(300))
        .with_ping_timeout(Duration::from_millis(200));
    println!("http://{addr}/engine.io/");
    Server::bind(addr)
        .mount_engineio(EngineIo::new(route).settings(settings))
        .serve()
        .await
}
