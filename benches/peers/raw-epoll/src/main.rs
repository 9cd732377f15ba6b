//! TCP echo on epoll, edge-triggered, one buffer for all: the socket itself, with nothing on it.

mod echo;

fn main() {
    bench_door::Asked::read().plain_only();
    if let Err(error) = echo::serve() {
        eprintln!("raw-epoll: {error}");
        std::process::exit(1);
    }
}
