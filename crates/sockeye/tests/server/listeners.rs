//! Sockets that the program has made itself.

use std::net::TcpListener;

use sockeye::{Drain, Server};

use crate::support::{Echo, assert_echoes, open, soon};

#[tokio::test]
async fn a_server_accepts_on_a_socket_of_the_program_with_all_workers_and_leaves_it_listening() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let begin = || async {
        let listener = listener.try_clone().unwrap();
        let server = Server::unbound().workers(3).listener(listener);
        let server = server.route("/", |_request| Ok(Echo));
        server.start().await.unwrap()
    };
    let first = begin().await;
    assert_eq!(first.local_addrs(), [addr]);
    let mut websockets = Vec::new();
    for _ in 0..30 {
        websockets.push(open(addr, "/", &[]).await.0);
    }
    for websocket in &mut websockets {
        assert_echoes(websocket, "hello").await;
    }
    drop(websockets);
    soon(first.drain(Drain::default())).await;
    // The same socket: it wasn't shut down.
    let second = begin().await;
    let (mut websocket, _) = open(addr, "/", &[]).await;
    assert_echoes(&mut websocket, "again").await;
    assert_eq!(second.sessions(), 1);
}
