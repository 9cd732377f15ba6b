//! The client over HTTP/2 (RFC 8441).

mod scripted;

use std::future::IntoFuture as _;

use bytes::Bytes;
use h2::{
    Reason, RecvStream, SendStream,
    server::{Builder, Connection, SendResponse},
};
use http::{Request, Response};
use scripted::{Authority, accept_tls, assert_greeted, drop_when, greet, listen, until_closed};
use sockeye::{ClientTls, Connect, Deflate, ErrorKind, Http2, connect};
use tokio::{
    io::AsyncReadExt as _,
    join,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    client: Connect,
}

impl Server {
    async fn new(alpn: &[&str]) -> Self {
        let authority = Authority::new();
        let (listener, address) = listen().await;
        let client = connect(format!("wss://localhost:{}/a?b", address.port()))
            .tls(ClientTls::new().roots_only(&authority.pem).unwrap())
            .http2(Http2::Auto);
        Self {
            listener,
            acceptor: authority.acceptor("localhost", alpn),
            client,
        }
    }

    async fn accept(&self, builder: &Builder) -> Connection<TlsStream<TcpStream>, Bytes> {
        let stream = accept_tls(&self.listener, &self.acceptor).await;
        builder.handshake(stream).await.unwrap()
    }
}

type Stream = (Request<RecvStream>, SendResponse<Bytes>);

fn websocket() -> Builder {
    let mut builder = h2::server::Builder::new();
    builder.enable_connect_protocol();
    builder
}

/// Returns the next request, and drives the connection in a task from then on.
async fn next(mut connection: Connection<TlsStream<TcpStream>, Bytes>) -> Stream {
    let stream = connection.accept().await.unwrap().unwrap();
    tokio::spawn(async move { while connection.accept().await.is_some() {} });
    stream
}

async fn data(recv: &mut RecvStream, bytes: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < bytes {
        let data = recv.data().await.unwrap().unwrap();
        recv.flow_control().release_capacity(data.len()).unwrap();
        all.extend_from_slice(&data);
    }
    all
}

#[tokio::test]
async fn a_host_field_of_the_program_becomes_the_authority() {
    let server = Server::new(&["h2"]).await;
    let client = server.client.clone().header("Host", "behind.example:81");
    let serving = async {
        let (request, mut respond) = next(server.accept(&websocket()).await).await;
        let send = respond.send_response(Response::new(()), false).unwrap();
        (request, send)
    };
    // The certificate is still checked against the name of the URL.
    let (result, (request, _send)) = join!(client, serving);
    result.unwrap();
    let authority = request.uri().authority().unwrap();
    assert_eq!(authority.as_str(), "behind.example:81");
    assert!(!request.headers().contains_key("host"));
}

#[tokio::test]
async fn websocket_opens_in_a_stream_and_carries_frames_both_ways() {
    let server = Server::new(&["h2", "http/1.1"]).await;
    let client = server
        .client
        .clone()
        .subprotocols(["x", "y"])
        .deflate(Deflate::default())
        .header("X-Mine", "1");
    let serving = async {
        let (request, mut respond) = next(server.accept(&websocket()).await).await;
        let response = Response::builder()
            .header("sec-websocket-protocol", "y")
            .body(())
            .unwrap();
        let mut send = respond.send_response(response, false).unwrap();
        send.send_data(Bytes::from_static(b"\x81\x02Hi"), false)
            .unwrap();
        (request, send)
    };
    let (result, (request, _send)) = join!(client, serving);
    let mut websocket = result.unwrap();
    assert_eq!(request.method(), "CONNECT");
    assert_eq!(request.uri().scheme_str(), Some("https"));
    assert_eq!(request.uri().path_and_query().unwrap(), "/a?b");
    assert_eq!(
        request
            .extensions()
            .get::<h2::ext::Protocol>()
            .unwrap()
            .as_str(),
        "websocket"
    );
    let headers = request.headers();
    assert_eq!(headers["sec-websocket-version"], "13");
    assert_eq!(headers["sec-websocket-protocol"], "x, y");
    assert_eq!(headers["x-mine"], "1");
    assert!(headers.contains_key("sec-websocket-extensions"));
    // RFC 8441 section 5: the request has none of these.
    for name in ["sec-websocket-key", "connection", "upgrade", "host"] {
        assert!(!headers.contains_key(name), "{name}");
    }
    assert_eq!(websocket.subprotocol(), Some("y"));
    assert!(websocket.request().unwrap().is_tls());
    let message = websocket.recv().await.unwrap().unwrap();
    assert_eq!(message.as_text(), Some("Hi"));
    websocket.send("ho").await.unwrap();
    let frame = data(&mut request.into_body(), 8).await;
    assert_eq!(frame[..2], [0x81, 0x82]);
    assert_eq!([frame[2] ^ frame[6], frame[3] ^ frame[7]], *b"ho");
}

#[tokio::test]
async fn server_without_the_setting_is_dialled_again_with_http1() {
    let server = Server::new(&["h2", "http/1.1"]).await;
    let serving = async {
        let mut connection = server.accept(&Builder::new()).await;
        // No request comes.
        assert!(
            connection
                .accept()
                .await
                .is_none_or(|stream| stream.is_err())
        );
        let mut stream = accept_tls(&server.listener, &server.acceptor).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        greet(&mut stream).await;
    };
    let (websocket, ()) = join!(server.client.clone(), serving);
    assert_greeted(websocket).await;
}

#[tokio::test]
async fn server_that_demands_http1_is_dialled_again_with_http1() {
    let server = Server::new(&["h2", "http/1.1"]).await;
    let serving = async {
        let (_, mut respond) = next(server.accept(&websocket()).await).await;
        respond.send_reset(Reason::HTTP_1_1_REQUIRED);
        greet(&mut accept_tls(&server.listener, &server.acceptor).await).await;
    };
    let (websocket, ()) = join!(server.client.clone(), serving);
    assert_greeted(websocket).await;
}

#[tokio::test]
async fn server_without_http2_is_not_dialled_again() {
    let server = Server::new(&["http/1.1"]).await;
    let (websocket, _) = join!(server.client.clone(), async {
        greet(&mut accept_tls(&server.listener, &server.acceptor).await).await
    });
    assert_greeted(websocket).await;
}

#[tokio::test]
async fn http2_is_not_offered_by_default() {
    let server = Server::new(&["h2", "http/1.1"]).await;
    let client = server.client.clone().http2(Http2::Off);
    let (websocket, _) = join!(client, async {
        greet(&mut accept_tls(&server.listener, &server.acceptor).await).await
    });
    assert_greeted(websocket).await;
}

#[tokio::test]
async fn refusal_over_http2_brings_status_and_body() {
    let server = Server::new(&["h2"]).await;
    let serving = async {
        let (_, mut respond) = next(server.accept(&websocket()).await).await;
        let response = Response::builder()
            .status(403)
            .header("x", "y")
            .body(())
            .unwrap();
        let mut send = respond.send_response(response, false).unwrap();
        send.send_data(Bytes::from_static(b"no"), true).unwrap();
    };
    let (result, ()) = join!(server.client.clone(), serving);
    let error = result.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Refused);
    let refused = error.rejection().unwrap();
    assert_eq!(
        (refused.status.as_u16(), &refused.headers["x"]),
        (403, &"y".parse().unwrap())
    );
    assert_eq!(refused.body, b"no");
}

#[tokio::test]
async fn bad_choice_over_http2_is_refused_and_the_stream_reset() {
    let server = Server::new(&["h2"]).await;
    let serving = async {
        let (request, mut respond) = next(server.accept(&websocket()).await).await;
        let response = Response::builder()
            .header("sec-websocket-protocol", "z")
            .body(())
            .unwrap();
        let send: SendStream<Bytes> = respond.send_response(response, false).unwrap();
        let mut body = request.into_body();
        (body.data().await.is_none_or(|data| data.is_err()), send)
    };
    let (result, (is_closed, _send)) = join!(server.client.clone(), serving);
    assert_eq!(result.err().unwrap().kind(), ErrorKind::Handshake);
    assert!(is_closed);
}

#[tokio::test]
async fn redirect_over_http2_is_followed() {
    let server = Server::new(&["h2", "http/1.1"]).await;
    let serving = async {
        let (_, mut respond) = next(server.accept(&websocket()).await).await;
        let response = Response::builder()
            .status(307)
            .header("location", "/c")
            .body(())
            .unwrap();
        respond.send_response(response, true).unwrap();
        let (request, mut respond) = next(server.accept(&websocket()).await).await;
        let mut send = respond.send_response(Response::new(()), false).unwrap();
        send.send_data(Bytes::from_static(b"\x81\x02Hi"), false)
            .unwrap();
        (request, send)
    };
    let (websocket, (request, _send)) = join!(server.client.clone().redirects_max(1), serving);
    assert_greeted(websocket).await;
    assert_eq!(request.uri().path(), "/c");
}

#[tokio::test]
async fn silent_http2_server_runs_into_the_handshake_timeout() {
    let server = Server::new(&["h2"]).await;
    let client = server
        .client
        .clone()
        .handshake_timeout(std::time::Duration::from_millis(50));
    let (result, _stream) = join!(client, async {
        accept_tls(&server.listener, &server.acceptor).await
    });
    let error = result.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("opening handshake"), "{error}");
}

#[tokio::test]
async fn dropping_during_the_http2_handshake_closes_the_socket() {
    // Before the server's SETTINGS, and before its answer.
    let server = Server::new(&["h2"]).await;
    let client = server.client.clone().into_future();
    let mut stream = drop_when(client, async {
        let mut stream = accept_tls(&server.listener, &server.acceptor).await;
        stream.read_u8().await.unwrap();
        stream
    })
    .await;
    until_closed(&mut stream).await;

    let client = server.client.clone().into_future();
    let mut connection = drop_when(client, async {
        let mut connection = server.accept(&websocket()).await;
        connection.accept().await.unwrap().unwrap();
        connection
    })
    .await;
    while connection.accept().await.is_some() {}
}
