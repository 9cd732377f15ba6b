//! cargo run -p sockeye-examples --example heartbeat
//!
//! A server that detects lost clients and measures round trips. Connect a few clients, and kill or stop
//! one of them: `sockeye connect ws://127.0.0.1:9000/`, then `kill -STOP` its process.

use std::time::Duration;

use sockeye::{
    AppHeartbeat, Closed, Endpoint, HeartbeatConfig, Message, Reply, Server, Session, Settings,
};

struct Watched;

impl Endpoint for Watched {
    fn on_message(&mut self, session: &Session, _: Message<'_>) -> Reply {
        let text = match session.latency() {
            Some(latency) => format!("round trip {latency:?}"),
            None => "ask again after the first ping".to_owned(),
        };
        Reply::Message(text.into())
    }

    fn on_close(&mut self, session: &Session, closed: &Closed) {
        println!("session {}: {closed}", session.id());
    }
}

#[tokio::main]
async fn main() -> Result<(), sockeye::Error> {
    let mut settings = Settings::default();
    settings.heartbeat = Some(HeartbeatConfig::new(
        Duration::from_secs(5),
        Duration::from_secs(2),
    ));
    settings.idle_timeout = Some(Duration::from_secs(600));
    // Pages can't send pings. They send the text `ping`, and the library replies with `pong`.
    settings.app_heartbeat = Some(AppHeartbeat::default());
    let server = Server::bind("127.0.0.1:9000").settings(settings);
    server.route("/", |_| Ok(Watched)).serve().await
}
