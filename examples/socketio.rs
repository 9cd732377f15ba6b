//! cargo run -p sockeye-examples --example socketio
//!
//! Socket.IO 5: two namespaces that send back what they get. The names and times are those that the protocol's own suite of checks
//! expects (github.com/socketio/socket.io-protocol). An argument is the address on which to listen. In a page:
//! `io("http://localhost:3000")`, by npm `socket.io-client`.

use std::time::Duration;

use sockeye::{
    EngineIoSettings, Origins, Server,
    socketio::{AnyArgs, Namespace, SocketIo, SocketIoSettings},
};

/// Makes a namespace that sends back each message, and what the client has connected with.
fn echo(name: &str) -> Namespace<serde_json::Value> {
    Namespace::new(name, |request| async move {
        // Any JSON object is one.
        Ok(request.auth().unwrap_or_default())
    })
    .connected(|socket| async move {
        // A client that has just connected has room for it.
        let _ = socket.emit("auth", (socket.state(),));
    })
    .on("message", |socket, args: AnyArgs| async move {
        // A client that doesn't read loses some.
        let _ = socket.emit("message-back", args);
    })
    .on(
        "message-with-ack",
        |_socket, args: AnyArgs| async move { args },
    )
}

#[tokio::main]
async fn main() -> Result<(), sockeye::Error> {
    let addr = std::env::args().nth(1);
    let addr = addr.unwrap_or("localhost:3000".to_owned());
    // The suite wants short times; the defaults are 25 s, 20 s and 45 s.
    let engine = EngineIoSettings::default()
        .with_ping_interval(Duration::from_millis(300))
        .with_ping_timeout(Duration::from_millis(200));
    let settings = SocketIoSettings::default()
        .with_engine(engine)
        .with_connect_timeout(Duration::from_secs(1));
    let socketio = SocketIo::new()
        .namespace(echo("/"))
        .namespace(echo("/custom"))
        .settings(settings);
    // An echo protects nothing, so that pages of any origin may use it.
    let mounted = socketio.mount("/socket.io", |route| route.origins(Origins::Any));
    println!("http://{addr}/socket.io/");
    Server::bind(addr).mount_engineio(mounted).serve().await
}
