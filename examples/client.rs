//! cargo run -p sockeye-examples --example client

use sockeye::{CloseCode, Error};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut websocket = sockeye::connect("ws://127.0.0.1:9000/shout").await?;
    websocket.send("both ways").await?;
    println!("{:?}", websocket.recv().await?);
    websocket.close(CloseCode::NORMAL, "").await;
    Ok(())
}
