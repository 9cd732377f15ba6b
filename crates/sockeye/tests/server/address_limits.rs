//! Limits for each client address.

use std::net::SocketAddr;

use axum::{Router, routing::get};
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use sockeye::{AddressLimits, ErrorKind, Rate, Server, ServerHandle};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    support::{
        assert_echoes, connect, echo_server, exchange, http2_client_on, http2_connect,
        http2_websocket, open, open_on, read_to_end, request, soon, status, status_of,
    },
    tls::{dial_on, identity},
};

/// Limits that no test reaches and that exempt no address; each test lowers one of them.
fn unreached() -> AddressLimits {
    let mut limits = AddressLimits::default();
    limits.exempt = Vec::new();
    limits
}

fn connections_max(count: u32) -> AddressLimits {
    let mut limits = unreached();
    limits.connections_max = count;
    limits
}

fn handshakes(rate: Rate) -> AddressLimits {
    let mut limits = unreached();
    limits.handshakes = Some(rate);
    limits
}

async fn start(server: Server, limits: AddressLimits) -> ServerHandle {
    let page = Router::new().route("/", get(|| async { "page" }));
    let server = server.fallback(page).address_limits(limits);
    server.start().await.unwrap()
}

/// Returns the status of the answer to a handshake.
async fn answer(addr: SocketAddr, fields: &[&str]) -> u16 {
    let bytes = request("/echo", &[fields, &["Connection: close"]].concat());
    let mut stream = connect(addr).await;
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let head = crate::support::read_head(&mut stream).await;
    status_of(&head)
}

/// Waits until a handshake succeeds again.
async fn until_let_in(addr: SocketAddr, fields: &[&str]) {
    soon(async {
        while answer(addr, fields).await != 101 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_address_with_as_many_connections_as_it_may_have_is_answered_429_until_one_ends() {
    let server = start(echo_server(), connections_max(2)).await;
    let addr = server.local_addrs()[0];
    let (first, _) = open(addr, "/echo", &[]).await;
    let (mut second, _) = open(addr, "/echo", &[]).await;
    let refused = exchange(addr, request("/echo", &[]).as_bytes()).await;
    assert_eq!(status_of(&refused), 429, "{refused}");
    assert!(refused.contains("\r\nretry-after: 5\r\n"), "{refused}");
    assert!(
        refused.ends_with("too many from your address, come back in 5 s\n"),
        "{refused}"
    );
    assert_eq!(
        status(addr, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await,
        429
    );
    assert_echoes(&mut second, "undisturbed").await;
    drop(first);
    until_let_in(addr, &[]).await;
}

#[tokio::test]
async fn tls_and_http2_connections_are_counted_too_and_each_stream_is_one() {
    let (tls, roots) = identity();
    let server = echo_server().listen_tls("127.0.0.1:0", tls);
    let server = start(server, connections_max(3)).await;
    let addr = server.local_addrs()[1];
    let dial = |alpn: &'static [&'static [u8]]| {
        let roots = roots.clone();
        async move { dial_on(connect(addr).await, roots, alpn).await }
    };
    let mut client = http2_client_on(dial(&[b"h2"]).await).await;
    let mut websockets = Vec::new();
    for _ in 0..2 {
        let response = http2_connect(&mut client, "/echo", &[]).await;
        assert_eq!(response.status(), 200);
        websockets.push(http2_websocket(response).await);
    }
    let response = http2_connect(&mut client, "/echo", &[]).await;
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "5");
    let mut stream = dial(&[]).await;
    stream
        .write_all(request("/echo", &[]).as_bytes())
        .await
        .unwrap();
    let refused = read_to_end(&mut stream).await;
    assert_eq!(status_of(&refused), 429, "{refused}");
    // A page is not a WebSocket, and its connection is counted already.
    let page = Request::get("http://a.example/")
        .body(Empty::new())
        .unwrap();
    let page = soon(client.send_request(page)).await.unwrap();
    assert_eq!(page.status(), 200);
    soon(page.into_body().collect()).await.unwrap();
    drop(websockets);
    soon(async {
        while http2_connect(&mut client, "/echo", &[]).await.status() != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_address_that_it_names_counts_and_not_its_own() {
    let server = echo_server().trusted_proxies(["127.0.0.1"]);
    let server = start(server, connections_max(1)).await;
    let addr = server.local_addrs()[0];
    let (one, _) = open(addr, "/echo", &["X-Forwarded-For: 192.0.2.1"]).await;
    let (_other, _) = open(addr, "/echo", &["X-Forwarded-For: 192.0.2.2"]).await;
    let (_standard, _) = open(addr, "/echo", &["Forwarded: for=\"[2001:db8::1]:7\""]).await;
    for (field, status) in [
        ("X-Forwarded-For: 192.0.2.1", 429),
        ("X-Forwarded-For: 6.6.6.6, 192.0.2.1", 429),
        ("Forwarded: for=192.0.2.2", 429),
        // Both are in one network of 64 bits.
        ("X-Forwarded-For: 2001:db8::ffff", 429),
        ("X-Forwarded-For: 2001:db8:0:1::1", 101),
    ] {
        assert_eq!(answer(addr, &[field]).await, status, "{field}");
    }
    // The proxy's own request, such as a health check.
    let (_proxy, _) = open(addr, "/echo", &[]).await;
    let (_proxy, _) = open(addr, "/echo", &[]).await;
    drop(one);
    until_let_in(addr, &["X-Forwarded-For: 192.0.2.1"]).await;
}

#[tokio::test]
async fn requests_with_contradicting_fields_count_together_also_behind_an_exempt_proxy() {
    let server = echo_server().trusted_proxies(["127.0.0.1"]);
    let mut limits = AddressLimits::default();
    limits.connections_max = 1;
    let server = start(server, limits).await;
    let addr = server.local_addrs()[0];
    let (_first, _) = open(
        addr,
        "/echo",
        &["Forwarded: for=\"", "X-Forwarded-For: 6.6.6.6"],
    )
    .await;
    assert_eq!(
        answer(addr, &["Forwarded: for", "X-Forwarded-For: 7.7.7.7"]).await,
        429
    );
    assert_eq!(answer(addr, &["X-Forwarded-For: garbage"]).await, 429);
    assert_eq!(answer(addr, &["X-Forwarded-For: 192.0.2.1"]).await, 101);
}

#[tokio::test]
async fn the_address_that_the_proxy_protocol_names_counts() {
    let server = Server::unbound().listen_behind_proxy("127.0.0.1:0", None);
    let server = server.route("/echo", |_| Ok(crate::support::Echo));
    let server = start(server, connections_max(1)).await;
    let addr = server.local_addrs()[0];
    let dial = |source: &'static str| async move {
        let mut stream = connect(addr).await;
        let head = format!("PROXY TCP4 {source} 198.51.100.1 1 2\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    };
    let (_one, _) = open_on(dial("192.0.2.1").await, "/echo", &[]).await;
    let (_other, _) = open_on(dial("192.0.2.2").await, "/echo", &[]).await;
    let mut refused: TcpStream = dial("192.0.2.1").await;
    refused
        .write_all(request("/echo", &[]).as_bytes())
        .await
        .unwrap();
    assert_eq!(status_of(&read_to_end(&mut refused).await), 429);
}

#[tokio::test]
async fn handshakes_of_an_address_have_a_rate_and_the_refusal_says_when_to_retry() {
    let server = echo_server().trusted_proxies(["127.0.0.1"]);
    let server = start(server, handshakes(Rate::per_hour(2).burst(3))).await;
    let addr = server.local_addrs()[0];
    let field = "X-Forwarded-For: 192.0.2.1";
    // Handshakes that fail count, too.
    assert_eq!(answer(addr, &[field]).await, 101);
    assert_eq!(
        answer(addr, &[field, "Origin: http://b.example"]).await,
        403
    );
    let elsewhere = request("/elsewhere", &[field, "Connection: close"]);
    assert_eq!(status(addr, elsewhere.as_bytes()).await, 404);
    let refused = exchange(addr, request("/echo", &[field]).as_bytes()).await;
    assert_eq!(status_of(&refused), 429, "{refused}");
    let (_, after) = refused.split_once("\r\nretry-after: ").unwrap();
    let secs: u64 = after.split_once('\r').unwrap().0.parse().unwrap();
    assert!((1000..=1800).contains(&secs), "{refused}");
    assert_eq!(answer(addr, &["X-Forwarded-For: 192.0.2.2"]).await, 101);
    // Over HTTP/2 each stream counts.
    let mut client = http2_client_on(connect(addr).await).await;
    let fields = [("x-forwarded-for", "192.0.2.3")];
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let response = http2_connect(&mut client, "/echo", &fields).await;
        statuses.push(response.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
}

#[tokio::test]
async fn connections_without_a_proxy_count_when_they_begin_and_not_again_for_their_first_request() {
    let server = start(echo_server(), handshakes(Rate::per_hour(1).burst(3))).await;
    let addr = server.local_addrs()[0];
    for _ in 0..2 {
        assert_eq!(answer(addr, &[]).await, 101);
    }
    assert_eq!(
        status(
            addr,
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        .await,
        200
    );
    assert_eq!(answer(addr, &[]).await, 429);
}

#[tokio::test]
async fn the_machines_own_addresses_are_exempt_by_default() {
    let mut limits = AddressLimits::default();
    limits.connections_max = 1;
    limits.handshakes = Some(Rate::per_hour(1));
    let server = start(echo_server(), limits).await;
    let addr = server.local_addrs()[0];
    let (_one, _) = open(addr, "/echo", &[]).await;
    let (_other, _) = open(addr, "/echo", &[]).await;
    let mut wrong = AddressLimits::default();
    wrong.exempt = vec!["10.0.0.0/40".to_owned()];
    let error = echo_server()
        .address_limits(wrong)
        .start()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}
