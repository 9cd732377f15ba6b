//! cargo run -p sockeye-examples --example reconnect
//!
//! A client that reconnects. Start a server with `cargo run`, stop it, and start it again.

use std::time::Duration;

use sockeye::{
    Error,
    reconnect::{Event, Policy, Queue},
};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let policy = Policy::new()
        .queue(Queue::drop_oldest().time_to_live(Duration::from_secs(60)))
        .request(|connect| async {
            // Fetch a token here, because the old one may have expired.
            Ok(connect.header("Authorization", "Bearer fresh"))
        });
    let mut feed = sockeye::connect("ws://127.0.0.1:8080/echo").reconnect(policy);

    // Any task may send at any time; without a connection the message is queued.
    let sender = feed.sender().clone();
    tokio::spawn(async move {
        for number in 1.. {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if sender.send(format!("reading {number}")).await.is_err() {
                break;
            }
        }
    });

    while let Some(event) = feed.next().await {
        match event {
            Event::Connected(_) => println!("connected: ask for what you missed"),
            Event::Message(message) => println!("{:?}", message.as_text()),
            Event::Disconnected {
                closed,
                retry_in: Some(delay),
            } => println!("disconnected ({closed}), again in {delay:.1?}"),
            Event::Disconnected { closed, .. } => println!("disconnected for good ({closed})"),
            Event::Dropped(dropped) => println!("never sent: {:?}", dropped.message.as_text()),
            _ => {}
        }
    }
    Ok(())
}
