//! Behind nginx and HAProxy, with the configurations of the how-to pages.

use std::{net::SocketAddr, time::Duration};

use sockeye::{
    CloseCode, Settings, WebSocket,
    reconnect::{Event, Policy, Reconnecting},
};
use sockeye_checks::{ReverseProxy, Server, blocks_of_page, replaced};
use tokio::{net::TcpSocket, runtime::Builder, time::timeout};

/// An address of this machine that no proxy has.
const CLIENT: &str = "127.0.0.77";

/// Returns a server whose log says who is there.
fn server(arguments: &[&str]) -> Option<(Server, SocketAddr)> {
    let arguments = [&["--log-filter", "sockeye=debug"], arguments].concat();
    let server = Server::start(&arguments)?;
    let addr = SocketAddr::from(([127, 0, 0, 1], server.port()));
    Some((server, addr))
}

fn nginx_config() -> String {
    let blocks = blocks_of_page("nginx.md", "nginx");
    assert_eq!(blocks.len(), 1, "one configuration");
    blocks.concat()
}

fn haproxy_configs() -> [String; 2] {
    let blocks = blocks_of_page("haproxy.md", "haproxy");
    blocks.try_into().expect("two configurations")
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

/// Only a failure reaches it.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    let done = timeout(Duration::from_secs(60), work).await;
    done.expect("it doesn't hang")
}

/// Returns a client without a heartbeat of its own, so that only the server's counts.
fn quiet() -> Settings {
    let mut settings = Settings::default();
    settings.heartbeat = None;
    settings
}

/// Connects from [`CLIENT`], with a forged address in its request.
async fn open(proxy: SocketAddr) -> WebSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    let source = format!("{CLIENT}:0").parse().expect("an address");
    socket.bind(source).expect("every 127.… is here");
    let stream = soon(socket.connect(proxy)).await.expect("the proxy");
    let connect = sockeye::connect(format!("ws://{proxy}/echo"))
        .header("X-Forwarded-For", "6.6.6.6")
        .header("Forwarded", "for=6.6.6.6")
        .settings(quiet());
    soon(connect.over(stream)).await.expect("a WebSocket")
}

async fn assert_echoes(websocket: &mut WebSocket) {
    soon(websocket.send("both ways")).await.expect("sent");
    let message = soon(websocket.recv()).await.expect("received");
    assert_eq!(
        message.as_ref().and_then(|m| m.as_text()),
        Some("both ways")
    );
}

/// Opens a WebSocket through the proxy, and asserts that the server knows its address.
#[track_caller]
fn assert_client_is_known(proxy: &ReverseProxy, mut server: Server) {
    run(async {
        let mut websocket = open(proxy.addr()).await;
        assert_echoes(&mut websocket).await;
        let closed = soon(websocket.close(CloseCode::NORMAL, "")).await;
        assert!(closed.is_clean(), "{closed}");
    });
    let line = server.process().wait_for_text("client_addr=");
    assert!(line.contains(&format!("client_addr={CLIENT} ")), "{line}");
}

/// Returns the client's events in the time in which the proxy would have hung up three times.
async fn lapse(feed: &mut Reconnecting) -> Option<Event> {
    timeout(Duration::from_secs(6), feed.next()).await.ok()?
}

/// Asserts that a connection with a heartbeat of half a second outlives a proxy's time-out of two seconds, and that one
/// without a heartbeat doesn't, after which the client reconnects.
fn assert_heartbeat_decides(start: impl Fn(SocketAddr) -> Option<ReverseProxy>) {
    for heartbeat in ["500ms", "off"] {
        let Some((_server, addr)) = server(&["--heartbeat-interval", heartbeat]) else {
            return;
        };
        let Some(proxy) = start(addr) else { return };
        run(async {
            let connect = sockeye::connect(format!("ws://{}/echo", proxy.addr()));
            let mut feed = connect.settings(quiet()).reconnect(Policy::new());
            let first = soon(feed.next()).await;
            assert!(matches!(first, Some(Event::Connected(_))), "{first:?}");
            match (heartbeat, lapse(&mut feed).await) {
                ("off", Some(Event::Disconnected { retry_in, .. })) => {
                    assert!(retry_in.is_some());
                    // What is sent meanwhile waits for the next connection.
                    feed.send("both ways").await.expect("room");
                    let back = soon(feed.next()).await;
                    assert!(matches!(back, Some(Event::Connected(_))), "{back:?}");
                }
                ("500ms", None) => feed.send("both ways").await.expect("room"),
                (heartbeat, event) => panic!("heartbeat {heartbeat}: {event:?}"),
            }
            match soon(feed.next()).await {
                Some(Event::Message(message)) => assert_eq!(message.as_text(), Some("both ways")),
                other => panic!("heartbeat {heartbeat}: {other:?}"),
            }
        });
    }
}

#[test]
fn nginx_names_the_client_in_a_header_field() {
    let Some((server, addr)) = server(&["--trusted-proxies", "127.0.0.1"]) else {
        return;
    };
    let Some(proxy) = ReverseProxy::nginx(&nginx_config(), addr) else {
        return;
    };
    assert_client_is_known(&proxy, server);
}

#[test]
fn through_nginx_a_connection_lives_by_the_servers_heartbeat() {
    let config = replaced(
        &nginx_config(),
        "proxy_read_timeout 60s;",
        "proxy_read_timeout 2s;",
    );
    assert_heartbeat_decides(|addr| ReverseProxy::nginx(&config, addr));
}

#[test]
fn haproxy_names_the_client_in_a_header_field() {
    let Some((server, addr)) = server(&["--trusted-proxies", "127.0.0.1"]) else {
        return;
    };
    let [http, _] = haproxy_configs();
    let Some(proxy) = ReverseProxy::haproxy(&http, addr) else {
        return;
    };
    assert_client_is_known(&proxy, server);
}

#[test]
fn haproxy_names_the_client_before_its_first_byte_in_both_versions() {
    let [_, tcp] = haproxy_configs();
    for version in ["send-proxy-v2", "send-proxy"] {
        let Some((server, addr)) = server(&["--proxy-protocol", "on"]) else {
            return;
        };
        let config = replaced(&tcp, "send-proxy-v2", version);
        let Some(proxy) = ReverseProxy::haproxy(&config, addr) else {
            return;
        };
        assert_client_is_known(&proxy, server);
    }
}

#[test]
fn through_haproxys_tunnel_a_connection_lives_by_the_servers_heartbeat() {
    let [http, _] = haproxy_configs();
    let config = replaced(&http, "timeout tunnel 1h", "timeout tunnel 2s");
    assert_heartbeat_decides(|addr| ReverseProxy::haproxy(&config, addr));
}
