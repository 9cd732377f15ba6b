//! WebSockets of axum and hyper servers that count and drain like those of a server of this crate.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Request as AxumRequest, State},
    response::{IntoResponse as _, Response},
    routing::{any, get},
};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use sockeye::{
    AddressLimits, CloseCode, Drain, Origins, Retry, Server, ServerHandle, Settings, WebSocket,
    upgrade::{Upgrades, WebSocketUpgrade},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{
    Echo, assert_echoes, attend, connect, exchange, open, read_head, recv_text, request, soon,
    status, status_of,
};

const CLOSE: &str = "Connection: close";

async fn start(server: Server) -> ServerHandle {
    server.workers(1).start().await.unwrap()
}

fn unbound() -> Server {
    Server::unbound().address_limits(AddressLimits::off())
}

/// Serves `/echo` (callbacks), `/talk` (a loop, which first sends the client's address) and the plain `/who`.
async fn axum_with(websockets: &ServerHandle) -> SocketAddr {
    let echo = async |upgrade: WebSocketUpgrade| upgrade.endpoint(Echo);
    let talk = async |upgrade: WebSocketUpgrade| {
        let client = upgrade.request().client_addr();
        upgrade
            .origins(Origins::Same)
            .on_upgrade(move |mut websocket: WebSocket| async move {
                let _ = websocket.send(format!("{client:?}")).await;
                while let Ok(Some(message)) = websocket.recv().await {
                    if websocket.send(message).await.is_err() {
                        break;
                    }
                }
            })
    };
    let who = async |Extension(upgrades): Extension<Upgrades>, request: AxumRequest| {
        format!("{:?}", upgrades.info(&request).client_addr())
    };
    serve(
        Router::new()
            .route("/echo", any(echo))
            .route("/talk", any(talk))
            .route("/who", get(who))
            .layer(Extension(Upgrades::of(websockets))),
    )
    .await
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    addr
}

#[tokio::test]
async fn a_drain_closes_what_axum_has_upgraded_and_counts_how_it_ended() {
    let websockets = start(unbound()).await;
    let addr = axum_with(&websockets).await;
    let (mut echo, _) = open(addr, "/echo", &[]).await;
    assert_echoes(&mut echo, "hi").await;
    let (mut talk, _) = open(addr, "/talk", &[]).await;
    recv_text(&mut talk).await;
    assert_echoes(&mut talk, "hi").await;
    assert_eq!((websockets.sessions(), websockets.connections()), (2, 2));
    assert_eq!(websockets.endings().total(), 0);

    let attending = [echo, talk].map(attend);
    let retry = Retry {
        after: Duration::from_secs(3),
        spread: Duration::ZERO,
    };
    let drain = Drain::default()
        .with_code(CloseCode::SERVICE_RESTART)
        .with_retry(retry);
    let report = soon(websockets.drain(drain)).await;
    assert_eq!((report.closed, report.aborted, report.timed_out), (2, 0, 0));
    for attending in attending {
        let closed = soon(attending).await.unwrap();
        assert_eq!(closed.code, CloseCode::SERVICE_RESTART);
        assert_eq!(closed.reason, "retry_ms=3000");
    }
    assert_eq!((websockets.sessions(), websockets.connections()), (0, 0));
    assert_eq!(websockets.endings().clean, 2);

    let answer = exchange(addr, request("/echo", &[CLOSE]).as_bytes()).await;
    assert_eq!(status_of(&answer), 503, "{answer}");
    assert!(answer.ends_with("the server is going away\n"), "{answer}");
}

#[tokio::test]
async fn a_drain_aborts_what_is_open_at_the_end_of_its_time() {
    let websockets = start(unbound()).await;
    let addr = axum_with(&websockets).await;
    // It never answers the Close frame, because nobody receives from it.
    let mut stream = connect(addr).await;
    let bytes = request("/echo", &[]);
    stream.write_all(bytes.as_bytes()).await.unwrap();
    read_head(&mut stream).await;
    let drain = Drain::default().with_timeout(Duration::from_millis(50));
    let report = soon(websockets.drain(drain)).await;
    assert_eq!((report.closed, report.timed_out), (0, 1));
    // Whatever comes, the stream ends.
    let mut rest = Vec::new();
    let _ = soon(stream.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn beyond_the_limit_of_connections_an_upgrade_gets_503_and_a_refused_one_does_not_count() {
    let websockets = start(unbound().connections_max(1)).await;
    let addr = axum_with(&websockets).await;
    let foreign = request("/talk", &[CLOSE, "Origin: http://b.example"]);
    assert_eq!(status(addr, foreign.as_bytes()).await, 403);
    let (mut websocket, _) = open(addr, "/talk", &[]).await;
    recv_text(&mut websocket).await;
    let answer = exchange(addr, request("/echo", &[CLOSE]).as_bytes()).await;
    assert_eq!(status_of(&answer), 503, "{answer}");
    assert!(answer.ends_with("too many connections\n"), "{answer}");
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client_and_its_limits_are_the_clients() {
    let mut limits = AddressLimits::default();
    limits.connections_max = 1;
    let server = Server::unbound()
        .address_limits(limits)
        .trusted_proxies(["127.0.0.1"]);
    let websockets = start(server).await;
    let addr = axum_with(&websockets).await;
    let forwarded = |addr: &str| format!("X-Forwarded-For: {addr}");
    let (first, second) = (forwarded("192.0.2.7"), forwarded("192.0.2.8"));
    let (mut websocket, _) = open(addr, "/talk", &[&first]).await;
    assert_eq!(recv_text(&mut websocket).await, "Some(192.0.2.7)");
    assert_eq!(
        status(addr, request("/echo", &[CLOSE, &first]).as_bytes()).await,
        429
    );
    let (mut websocket, _) = open(addr, "/talk", &[&second]).await;
    assert_eq!(recv_text(&mut websocket).await, "Some(192.0.2.8)");
    let plain = format!("GET /who HTTP/1.1\r\nHost: a\r\n{CLOSE}\r\n{second}\r\n\r\n");
    let answer = exchange(addr, plain.as_bytes()).await;
    assert!(answer.ends_with("Some(192.0.2.8)"), "{answer}");
}

#[tokio::test]
async fn settings_are_the_servers_unless_the_handler_has_its_own() {
    let limited = |bytes| {
        let mut settings = Settings::default();
        settings.limits.message_bytes_max = bytes;
        settings
    };
    let websockets = start(unbound().settings(limited(3))).await;
    let upgrades = Upgrades::of(&websockets);
    let servers = async |State(upgrades): State<Upgrades>, upgrade: WebSocketUpgrade| match upgrade
        .join(&upgrades)
    {
        Ok(upgrade) => upgrade.endpoint(Echo),
        Err(refusal) => refusal.into_response(),
    };
    let own = async move |State(upgrades): State<Upgrades>, upgrade: WebSocketUpgrade| match upgrade
        .join(&upgrades)
    {
        Ok(upgrade) => upgrade.settings(limited(4)).endpoint(Echo),
        Err(refusal) => refusal.into_response(),
    };
    let router = Router::new()
        .route("/servers", any(servers))
        .route("/own", any(own))
        .with_state(upgrades);
    let addr = serve(router).await;
    for (path, fits, too_long) in [("/servers", "abc", "abcd"), ("/own", "abcd", "abcde")] {
        let (mut websocket, _) = open(addr, path, &[]).await;
        assert_echoes(&mut websocket, fits).await;
        soon(websocket.send(too_long)).await.unwrap();
        let closed = soon(attend(websocket)).await.unwrap();
        assert_eq!(closed.code, CloseCode::MESSAGE_TOO_BIG, "{path}");
    }
}

async fn hyper_with(upgrades: Upgrades) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let upgrades = upgrades.clone();
            let serve = move |mut request: Request<Incoming>| {
                let upgrade = sockeye::upgrade::upgrade(&mut request);
                let joined = upgrade.and_then(|upgrade| upgrade.join(&upgrades));
                let response: Response<Body> = match joined {
                    Ok(upgrade) => upgrade.endpoint(Echo),
                    Err(refusal) => refusal.into_response(),
                };
                std::future::ready(Ok::<_, Infallible>(response))
            };
            let connection = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(serve))
                .with_upgrades();
            tokio::spawn(connection);
        }
    });
    addr
}

#[tokio::test]
async fn dropping_the_handle_closes_what_hyper_has_upgraded() {
    let websockets = start(unbound()).await;
    let addr = hyper_with(Upgrades::of(&websockets)).await;
    let (mut websocket, _) = open(addr, "/", &[]).await;
    assert_echoes(&mut websocket, "hi").await;
    assert_eq!(websockets.sessions(), 1);
    drop(websockets);
    let closed = soon(attend(websocket)).await.unwrap();
    assert_eq!(closed.code, CloseCode::GOING_AWAY);
    assert_eq!(status(addr, request("/", &[CLOSE]).as_bytes()).await, 503);
}
