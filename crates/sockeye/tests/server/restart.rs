//! One server after another on the same addresses.

use sockeye::{Drain, Server, ServerHandle};

use crate::{
    support::{Echo, assert_echoes, attend, open, soon},
    tls::identity,
};

async fn start(plain: &str, tls: &str) -> ServerHandle {
    let server = Server::bind(plain).listen_tls(tls, identity().0);
    let server = server.route("/echo", |_| Ok(Echo)).start();
    soon(server).await.expect("the addresses are free")
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_are_free_as_soon_as_a_server_is_dropped_or_drains() {
    let mut server = start("127.0.0.1:0", "127.0.0.1:0").await;
    let addrs = server.local_addrs().to_vec();
    let [plain, tls] = [0, 1].map(|number| addrs[number].to_string());
    let mut sessions = Vec::new();
    for round in 0..50 {
        // Sessions of the server before it may still be open.
        let (mut websocket, _) = open(addrs[0], "/echo", &[]).await;
        assert_echoes(&mut websocket, "hi").await;
        sessions.push(attend(websocket));
        match round % 5 {
            0 => drop(soon(server.drain(Drain::default())).await),
            _ => drop(server),
        }
        server = start(&plain, &tls).await;
    }
}
