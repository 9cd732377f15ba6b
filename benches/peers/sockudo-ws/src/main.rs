//! sockudo-ws, with one flush for all that had come together.

mod echo;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    echo::serve().await
}
