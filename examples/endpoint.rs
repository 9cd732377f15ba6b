//! cargo run -p sockeye-examples --example endpoint

use sockeye::{Endpoint, Message, Reply, Server, Session};

struct Shout;

impl Endpoint for Shout {
    fn on_message(&mut self, _: &Session, message: Message<'_>) -> Reply {
        let text = message.as_text().unwrap_or("?").to_uppercase();
        Reply::Message(text.into())
    }
}

#[tokio::main]
async fn main() -> Result<(), sockeye::Error> {
    let server = Server::bind("127.0.0.1:9000");
    server.route("/shout", |_| Ok(Shout)).serve().await
}
