//! TCP echo on tokio: one thread, one task per connection, one buffer for all.

mod echo;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    echo::serve().await
}
