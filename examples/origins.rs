//! cargo run -p sockeye-examples --example origins
//!
//! Routes that allow pages of other origins, also behind a proxy.

use sockeye::{Endpoint, Error, Message, Origins, Reply, Route, Server, Session};

struct Prices;

impl Endpoint for Prices {
    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::Message("42".into())
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    Server::bind("127.0.0.1:9000")
        .trusted_proxies(["127.0.0.1"])
        .mount(
            Route::new("/prices", |_request| Ok(Prices)).origins(Origins::List(vec![
                "https://shop.example".into(),
                "https://app.example:8443".into(),
            ])),
        )
        .mount(Route::new("/public", |_request| Ok(Prices)).origins(Origins::Any))
        .serve()
        .await
}
