//! Scheme, host and address of a client, on every kind of connection.

use axum::{Router, routing::any, routing::get};
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use sockeye::{
    Endpoint, Message, Reply, RequestInfo, Server, ServerHandle, Session, upgrade::WebSocketUpgrade,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use crate::{
    support::{
        Http2, connect, http2_client_on, http2_connect, http2_websocket, open, open_on,
        read_to_end, recv_text, soon,
    },
    tls::{dial_on, identity},
};

/// Sends what the server knows of the request.
struct Told(String);

impl Endpoint for Told {
    fn on_open(&mut self, session: &Session) {
        let _ = session.try_send(&self.0);
    }

    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::None
    }
}

fn words(info: &RequestInfo) -> String {
    format!(
        "{} {} {}",
        info.client_addr().expect("TCP has addresses"),
        info.scheme(),
        info.host().unwrap_or_default(),
    )
}

/// Starts a server with and without TLS, which trusts its own machine or no proxy.
async fn start(trusted: &[&str]) -> (ServerHandle, rustls::RootCertStore) {
    let (tls, roots) = identity();
    let page = get(|info: RequestInfo| async move { words(&info) });
    let server = Server::bind("127.0.0.1:0")
        .listen_tls("127.0.0.1:0", tls)
        .trusted_proxies(trusted.iter().copied())
        .route("/ws", |request| {
            assert_eq!(request.host(), request.info().host());
            assert_eq!(request.scheme(), request.info().scheme());
            Ok(Told(words(request.info())))
        })
        .fallback(Router::new().route("/page", page));
    (server.start().await.unwrap(), roots)
}

/// Returns what a WebSocket and a page receive over HTTP/1.1, and what a WebSocket receives that opens after the page
/// on one connection.
async fn over_http1<S>(streams: [S; 3], fields: &[&str]) -> Vec<String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let [stream, mut page, mut later] = streams;
    let (mut websocket, _) = open_on(stream, "/ws", fields).await;
    let mut told = vec![recv_text(&mut websocket).await];
    let mut head = "GET /page HTTP/1.1\r\nHost: a.example\r\n".to_owned();
    for field in fields {
        head.push_str(&format!("{field}\r\n"));
    }
    let bytes = format!("{head}Connection: close\r\n\r\n");
    page.write_all(bytes.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut page).await;
    told.push(answer.split_once("\r\n\r\n").unwrap().1.to_owned());
    later
        .write_all(format!("{head}\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    while !answer.contains(&told[1]) {
        use tokio::io::AsyncReadExt as _;
        answer.push(char::from(soon(later.read_u8()).await.unwrap()));
    }
    let (mut websocket, _) = open_on(later, "/ws", fields).await;
    told.push(recv_text(&mut websocket).await);
    told
}

/// Returns what a WebSocket and a page receive over HTTP/2.
async fn over_http2(mut client: Http2, scheme: &str, fields: &[(&str, &str)]) -> Vec<String> {
    let response = http2_connect(&mut client, "/ws", fields).await;
    let mut websocket = http2_websocket(response).await;
    let mut told = vec![recv_text(&mut websocket).await];
    let mut request = Request::get(format!("{scheme}://a.example/page"));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::new()).unwrap();
    let response = soon(client.send_request(request)).await.unwrap();
    let body = soon(response.into_body().collect()).await.unwrap();
    told.push(String::from_utf8(body.to_bytes().to_vec()).unwrap());
    told
}

#[tokio::test]
async fn without_a_proxy_it_is_what_every_kind_of_connection_shows() {
    // No proxy is trusted, so the client's own fields have no effect.
    let fields = [
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-Host: evil",
        "X-Forwarded-Proto: https",
    ];
    let pairs = [
        ("x-forwarded-for", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6;proto=https;host=b"),
    ];
    let (server, roots) = start(&[]).await;
    let [plain, tls] = server.local_addrs() else {
        panic!("two addresses");
    };
    let expected = "127.0.0.1 http a.example";
    let streams = [
        connect(*plain).await,
        connect(*plain).await,
        connect(*plain).await,
    ];
    assert_eq!(over_http1(streams, &fields).await, [expected; 3]);
    let client = http2_client_on(connect(*plain).await).await;
    assert_eq!(over_http2(client, "http", &pairs).await, [expected; 2]);

    let expected = "127.0.0.1 https a.example";
    let dial = |alpn: &'static [&'static [u8]]| {
        let roots = roots.clone();
        async move { dial_on(connect(*tls).await, roots, alpn).await }
    };
    let streams = [dial(&[]).await, dial(&[]).await, dial(&[]).await];
    assert_eq!(
        over_http1(streams, &["X-Forwarded-Proto: http"]).await,
        [expected; 3]
    );
    let client = http2_client_on(dial(&[b"h2"]).await).await;
    assert_eq!(over_http2(client, "https", &pairs).await, [expected; 2]);
}

#[tokio::test]
async fn behind_a_trusted_proxy_it_is_what_the_proxy_says_on_every_kind_of_connection() {
    let (server, _) = start(&["127.0.0.1"]).await;
    let addr = server.local_addrs()[0];
    let expected = "192.0.2.7 https chat.example";
    for fields in [
        &["Forwarded: for=192.0.2.7;proto=https;host=chat.example"][..],
        &[
            "X-Forwarded-For: 6.6.6.6, 192.0.2.7",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: chat.example",
        ],
    ] {
        let streams = [
            connect(addr).await,
            connect(addr).await,
            connect(addr).await,
        ];
        assert_eq!(over_http1(streams, fields).await, [expected; 3]);
        let fields = fields.iter().map(|field| field.split_once(": ").unwrap());
        let pairs: Vec<_> = fields
            .map(|(name, value)| (name.to_lowercase(), value))
            .collect();
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let client = http2_client_on(connect(addr).await).await;
        assert_eq!(over_http2(client, "http", &pairs).await, [expected; 2]);
    }
}

#[tokio::test]
async fn contradicting_fields_leave_what_every_kind_of_connection_shows() {
    let (server, _) = start(&["127.0.0.1"]).await;
    let addr = server.local_addrs()[0];
    let fields = [
        "Forwarded: for=\"192.0.2.7",
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.example",
    ];
    let streams = [
        connect(addr).await,
        connect(addr).await,
        connect(addr).await,
    ];
    let expected = "127.0.0.1 http a.example";
    assert_eq!(over_http1(streams, &fields).await, [expected; 3]);
    let pairs = [("forwarded", "for"), ("x-forwarded-for", "6.6.6.6")];
    let client = http2_client_on(connect(addr).await).await;
    assert_eq!(over_http2(client, "http", &pairs).await, [expected; 2]);
}

#[tokio::test]
async fn on_a_foreign_server_it_is_what_the_request_shows_or_what_the_program_has_left_there() {
    let told = |upgrade: WebSocketUpgrade| async move {
        let told = words(upgrade.request().info());
        upgrade.endpoint(Told(told))
    };
    let router = Router::new().route("/ws", any(told));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    let (mut websocket, _) = open(addr, "/ws", &["Forwarded: for=6.6.6.6"]).await;
    assert_eq!(recv_text(&mut websocket).await, "127.0.0.1 http a.example");
    let mut client = http2_client_on(connect(addr).await).await;
    let mut websocket = http2_websocket(http2_connect(&mut client, "/ws", &[]).await).await;
    assert_eq!(recv_text(&mut websocket).await, "127.0.0.1 http a.example");
}
