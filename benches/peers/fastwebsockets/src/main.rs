//! fastwebsockets on hyper, put together as its authors show it.

mod echo;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    echo::serve().await
}
