//! cargo run -p sockeye-examples --example limits
//!
//! Limits for the server, for one route, and for the memory of the process.

use std::time::Duration;

use sockeye::{
    Deflate, Endpoint, Error, Limits, MemoryBudget, Message, Reply, Route, Server, Session,
    Settings,
};

struct Echo;

impl Endpoint for Echo {
    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::Echo
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut settings = Settings::default();
    settings.limits.message_bytes_max = 64 << 10;
    settings.outbox_bytes_max = 256 << 10;
    settings.idle_timeout = Some(Duration::from_secs(600));

    let mut uploads = Limits::default();
    uploads.message_bytes_max = 16 << 20;

    Server::bind("127.0.0.1:9000")
        .settings(settings)
        .connections_max(10_000)
        .memory_budget(MemoryBudget::new(512 << 20))
        .mount(Route::new("/", |_| Ok(Echo)).deflate(Deflate::default()))
        .mount(Route::new("/uploads", |_| Ok(Echo)).limits(uploads))
        .serve()
        .await
}
