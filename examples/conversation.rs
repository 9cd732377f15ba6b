//! cargo run -p sockeye-examples --example conversation
//!
//! The loop style: one async function for each WebSocket, which can wait for other things too.

use std::time::Duration;

use sockeye::{CloseCode, Error, Route, Server, WebSocket};
use tokio::time;

async fn count_down(mut websocket: WebSocket) -> Result<(), Error> {
    let mut second = time::interval(Duration::from_secs(1));
    let mut left: u32 = 10;
    while left > 0 {
        tokio::select! {
            // `recv` is cancel safe: a tick loses no message.
            message = websocket.recv() => match message? {
                Some(message) => left = message.as_text().and_then(|text| text.parse().ok()).unwrap_or(left),
                None => return Ok(()),
            },
            _ = second.tick() => {
                websocket.send(left.to_string()).await?;
                left -= 1;
            }
        }
    }
    websocket.close(CloseCode::NORMAL, "lift-off").await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let route = Route::conversation("/countdown", |_request, websocket| async move {
        if let Err(error) = count_down(websocket).await {
            // A close with 1000 or 1001 ends the loop; any other end is an error with its code.
            let code = error.closed().map(|closed| closed.code);
            eprintln!("{}, code {code:?}", error.report());
        }
    });
    Server::bind("127.0.0.1:9000").mount(route).serve().await
}
