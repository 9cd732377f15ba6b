//! tokio-tungstenite: `--style plain` (as it is, one flush per message), `--style tuned` (a small read buffer, one flush for
//! all that had come together), `--style broadcast` (the same, and a room on a broadcast channel).

mod peer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    peer::serve().await
}
