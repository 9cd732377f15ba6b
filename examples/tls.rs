//! cargo run -p sockeye-examples --example tls
//!
//! A server with TLS whose certificate is renewed while it runs. It reads `cert.pem` and `key.pem` of the working
//! directory; docs/howto/tls.md has the command that makes them.

use std::time::Duration;

use sockeye::{Endpoint, Error, Message, Reply, Server, ServerTls, Session};
use tokio::time;

const CHAIN: &str = "cert.pem";
const KEY: &str = "key.pem";

struct Echo;

impl Endpoint for Echo {
    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::Echo
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let tls = ServerTls::from_files(CHAIN, KEY)?;
    let server = Server::unbound()
        .listen_tls("127.0.0.1:9443", tls.clone())
        .route("/", |_| Ok(Echo))
        .start()
        .await?;
    println!("wss://{}/", server.local_addrs()[0]);
    loop {
        time::sleep(Duration::from_secs(12 * 3600)).await;
        // New connections get the new certificate; open ones stay. After an error the old one stays in use.
        let renewed =
            ServerTls::from_files(CHAIN, KEY).and_then(|new| tls.replace_certificate(&new));
        if let Err(error) = renewed {
            eprintln!("the certificate was not renewed: {}", error.report());
        }
    }
}
