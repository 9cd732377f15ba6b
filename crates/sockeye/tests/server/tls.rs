//! TLS listeners.

use std::{net::SocketAddr, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use sockeye::{CloseCode, ErrorKind, Route, Server, ServerHandle, ServerTls, Settings};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{
    Echo, assert_echoes, connect, http2_client_on, http2_connect, http2_websocket, impatient,
    open_on, read_head, read_to_end, request, soon,
};

struct Fixture {
    server: ServerHandle,
    roots: RootCertStore,
}

/// Returns a server's certificate for `localhost`, and the roots that trust it.
pub(crate) fn identity() -> (ServerTls, RootCertStore) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = ServerTls::from_pem(cert.pem(), signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    (tls, roots)
}

/// Connects to `addr` with TLS.
pub(crate) async fn dial(
    roots: RootCertStore,
    addr: SocketAddr,
    alpn: &[&[u8]],
) -> TlsStream<TcpStream> {
    dial_on(connect(addr).await, roots, alpn).await
}

/// Begins TLS on an open connection.
pub(crate) async fn dial_on<S>(stream: S, roots: RootCertStore, alpn: &[&[u8]]) -> TlsStream<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = "localhost".try_into().unwrap();
    soon(TlsConnector::from(Arc::new(config)).connect(name, stream))
        .await
        .unwrap()
}

async fn start(settings: Settings) -> Fixture {
    let (tls, roots) = identity();
    let server = Server::unbound()
        .listen_tls("127.0.0.1:0", tls)
        .route("/echo", |_request| Ok(Echo))
        .mount(
            Route::new("/slow", |_request| Ok(Echo)).authorize(|_request| async {
                tokio::task::yield_now().await;
                Ok(())
            }),
        )
        .settings(settings)
        .start()
        .await
        .unwrap();
    Fixture { server, roots }
}

impl Fixture {
    async fn connect(&self, alpn: &[&[u8]]) -> TlsStream<TcpStream> {
        dial(self.roots.clone(), self.server.local_addrs()[0], alpn).await
    }
}

#[tokio::test]
async fn websocket_opens_over_tls() {
    let fixture = start(Settings::default()).await;
    for alpn in [&[][..], &[&b"http/1.1"[..]]] {
        let stream = fixture.connect(alpn).await;
        let origin = "Origin: https://a.example";
        let (mut websocket, _) = open_on(stream, "/echo", &[origin]).await;
        assert_echoes(&mut websocket, "hi").await;
        assert!(
            soon(websocket.close(CloseCode::NORMAL, ""))
                .await
                .is_clean()
        );
    }
}

/// TLS has read these frames already, so no event of the socket tells of them.
#[tokio::test]
async fn frames_in_the_record_of_the_request_are_kept() {
    let fixture = start(Settings::default()).await;
    for path in ["/echo", "/slow"] {
        let mut stream = fixture.connect(&[]).await;
        let mut bytes = request(path, &[]).into_bytes();
        // 100 messages, more than the read of a head takes, and a Close frame; less than a record holds.
        let message = [&[0x82, 0xe4, 0, 0, 0, 0][..], &[b'x'; 100]].concat();
        bytes.extend(message.repeat(100));
        bytes.extend([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);
        stream.write_all(&bytes).await.unwrap();
        stream.flush().await.unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let mut rest = Vec::new();
        soon(stream.read_to_end(&mut rest)).await.unwrap();
        let mut expected = [&[0x82, 100][..], &[b'x'; 100]].concat().repeat(100);
        expected.extend(b"\x88\x02\x03\xe8");
        assert_eq!(rest, expected);
    }
}

/// The messages are larger than what TLS takes at once, than a record, and than the socket's buffers.
#[tokio::test]
async fn large_messages_pass_both_ways_over_tls() {
    let fixture = start(Settings::default()).await;
    let (mut websocket, _) = open_on(fixture.connect(&[]).await, "/echo", &[]).await;
    let session = websocket.session().clone();
    let messages = [
        1,
        16 << 10,
        70_000,
        1 << 20,
        3,
        1 << 20,
        1 << 20,
        1 << 20,
        1 << 20,
    ]
    .map(|len| vec![7_u8; len]);
    let expected = messages.clone();
    let sending = tokio::spawn(async move {
        for message in messages {
            soon(session.send(message)).await.unwrap();
        }
    });
    for message in expected {
        let received = soon(websocket.recv()).await.unwrap().unwrap();
        assert!(received.as_bytes() == message, "{} bytes", message.len());
    }
    soon(sending).await.unwrap();
}

#[tokio::test]
async fn http2_is_offered_and_carries_websockets() {
    let fixture = start(Settings::default()).await;
    let stream = fixture.connect(&[b"h2", b"http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut sender = http2_client_on(stream).await;
    let response = http2_connect(&mut sender, "/echo", &[("origin", "http://a.example:443")]).await;
    let mut websocket = http2_websocket(response).await;
    assert_echoes(&mut websocket, "hi").await;
}

#[tokio::test]
async fn peer_that_is_silent_within_tls_is_closed() {
    let fixture = start(impatient()).await;
    // Before TLS, where no answer can be sent.
    let mut silent = connect(fixture.server.local_addrs()[0]).await;
    assert_eq!(read_to_end(&mut silent).await, "");
    // After TLS.
    let mut slow = fixture.connect(&[]).await;
    assert!(read_to_end(&mut slow).await.starts_with("HTTP/1.1 408 "));
    // In HTTP/2.
    let mut quiet = fixture.connect(&[b"h2"]).await;
    let mut bytes = Vec::new();
    let _ = soon(tokio::io::AsyncReadExt::read_to_end(&mut quiet, &mut bytes)).await;
}

#[test]
fn wrong_certificates_are_named() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (cert.pem(), signing_key.serialize_pem());
    for (chain, key, part) in [
        ("", key.as_str(), "no PEM block"),
        (cert.as_str(), "", "the key cannot be read"),
        (
            cert.as_str(),
            other.signing_key.serialize_pem().as_str(),
            "don't fit",
        ),
    ] {
        let error = ServerTls::from_pem(chain, key).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls);
        assert!(error.to_string().contains(part), "{error}");
    }
    let error = ServerTls::from_files("/nowhere/chain.pem", "/nowhere/key.pem").unwrap_err();
    assert!(error.to_string().contains("/nowhere/chain.pem"), "{error}");
}

// Issue 13, D.26.
#[tokio::test]
async fn a_certificate_is_replaced_while_the_server_runs() {
    let (tls, old_roots) = identity();
    let server = Server::unbound()
        .listen_tls("127.0.0.1:0", tls.clone())
        .route("/echo", |_request| Ok(Echo))
        .start()
        .await
        .unwrap();
    let addr = server.local_addrs()[0];
    let stream = dial(old_roots.clone(), addr, &[]).await;
    let (mut open, _) = open_on(stream, "/echo", &[]).await;
    let (renewed, new_roots) = identity();
    tls.replace_certificate(&renewed).unwrap();
    let stream = dial(new_roots, addr, &[]).await;
    let (mut websocket, _) = open_on(stream, "/echo", &[]).await;
    assert_echoes(&mut websocket, "new").await;
    assert_echoes(&mut open, "old").await;

    let foreign = ServerTls::from_rustls(Arc::new(
        rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new())),
    ));
    for error in [
        foreign.replace_certificate(&renewed),
        tls.replace_certificate(&foreign),
    ] {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Config);
    }
}
