//! Sockeye: `--style endpoint` (callbacks, the default) or `--style loop` (`recv` and `send`).

mod peer;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = peer::serve().await {
        eprintln!("sockeye: {error}");
        std::process::exit(1);
    }
}
