//! TLS as a client.

mod scripted;

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use scripted::{Authority, Identity, accept, accept_tls, answer, assert_greeted, greet, listen};
use sockeye::{ClientTls, Error, ErrorKind, WebSocket, connect};
use tokio::join;
use tokio_rustls::TlsAcceptor;

/// Dials `host` with `tls` against a server that may see the handshake fail.
async fn dial(host: &str, tls: ClientTls, acceptor: &TlsAcceptor) -> Result<WebSocket, Error> {
    let (listener, address) = listen().await;
    let client = connect(format!("wss://{host}:{}/", address.port())).tls(tls);
    let server = async {
        if let Ok(mut stream) = acceptor.accept(accept(&listener).await).await
            // In TLS 1.3 the server is done before the client has checked its certificate.
            && !is_refused(&mut stream).await
        {
            greet(&mut stream).await;
            return Some(stream);
        }
        None
    };
    join!(client, server).0
}

/// Returns whether the client sent nothing but an alert.
async fn is_refused(stream: &mut tokio_rustls::server::TlsStream<tokio::net::TcpStream>) -> bool {
    use tokio::io::AsyncBufReadExt as _;
    !matches!(stream.fill_buf().await, Ok(bytes) if !bytes.is_empty())
}

fn tls_error(result: Result<WebSocket, Error>) -> String {
    let error = result.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    error.report().to_string()
}

#[tokio::test]
async fn own_root_is_trusted_and_name_and_alpn_are_asked_for() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("localhost", &["http/1.1"]);
    let tls = ClientTls::new().roots_only(&authority.pem).unwrap();
    let (listener, address) = listen().await;
    let client = connect(format!("wss://localhost:{}/", address.port())).tls(tls);
    let server = async {
        let mut stream = accept_tls(&listener, &acceptor).await;
        let head = greet(&mut stream).await;
        (head, stream)
    };
    let (websocket, (head, stream)) = join!(client, server);
    assert!(websocket.as_ref().unwrap().request().unwrap().is_tls());
    assert_greeted(websocket).await;
    assert_eq!(
        head.field("Host"),
        Some(format!("localhost:{}", address.port()).as_str())
    );
    assert_eq!(stream.get_ref().1.server_name(), Some("localhost"));
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn a_host_field_and_a_given_address_leave_the_urls_name_to_tls() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("front.invalid", &["http/1.1"]);
    let tls = ClientTls::new().roots_only(&authority.pem).unwrap();
    let (listener, address) = listen().await;
    let port = address.port();
    let client = connect(format!("wss://front.invalid:{port}/"))
        .tls(tls)
        .resolve("front.invalid", port, [address.ip()])
        .header("Host", "behind.example");
    let server = async {
        let mut stream = accept_tls(&listener, &acceptor).await;
        (greet(&mut stream).await, stream)
    };
    let (websocket, (head, stream)) = join!(client, server);
    assert_greeted(websocket).await;
    assert_eq!(head.field("Host"), Some("behind.example"));
    assert_eq!(stream.get_ref().1.server_name(), Some("front.invalid"));
}

#[tokio::test]
async fn address_in_the_url_is_checked_against_the_certificate() {
    let authority = Authority::new();
    let tls = ClientTls::new().roots_only(&authority.pem).unwrap();
    let right = authority.acceptor("127.0.0.1", &[]);
    assert_greeted(dial("127.0.0.1", tls.clone(), &right).await).await;
    let wrong = authority.acceptor("127.0.0.2", &[]);
    tls_error(dial("127.0.0.1", tls, &wrong).await);
}

#[tokio::test]
async fn wrong_name_and_unknown_root_are_refused() {
    let authority = Authority::new();
    let tls = ClientTls::new().roots_only(&authority.pem).unwrap();
    let other_name = authority.acceptor("example.com", &[]);
    let text = tls_error(dial("localhost", tls.clone(), &other_name).await);
    assert!(text.contains("localhost"), "{text}");

    let stranger = Authority::new().acceptor("localhost", &[]);
    tls_error(dial("localhost", tls, &stranger).await);
    let own_and_system = ClientTls::new().root(&authority.pem).unwrap();
    tls_error(dial("localhost", own_and_system, &stranger).await);
}

#[tokio::test]
async fn other_server_name_can_be_asked_for() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("example.com", &[]);
    let tls = ClientTls::new().roots_only(&authority.pem).unwrap();
    let tls = tls.server_name("example.com").unwrap();
    assert_greeted(dial("localhost", tls, &acceptor).await).await;
    assert_eq!(
        ClientTls::new().server_name("a b").unwrap_err().kind(),
        ErrorKind::Config
    );
}

#[tokio::test]
async fn any_certificate_is_accepted_on_demand() {
    let stranger = Authority::new().acceptor("example.com", &[]);
    let tls = ClientTls::new().dangerous_accept_any_certificate();
    assert_greeted(dial("localhost", tls.clone(), &stranger).await).await;
    assert_greeted(dial("127.0.0.1", tls, &stranger).await).await;
}

#[tokio::test]
async fn client_certificate_is_shown_to_a_server_that_asks() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let acceptor = servers.acceptor_for_clients_of(Some(&clients), "localhost", &[]);
    let identity = clients.sign("client");
    let anonymous = ClientTls::new().roots_only(&servers.pem).unwrap();
    let known = anonymous
        .clone()
        .client_certificate(&identity.chain, &identity.key)
        .unwrap();
    assert_greeted(dial("localhost", known, &acceptor).await).await;
    // In TLS 1.3 the server refuses after the client's part of the handshake.
    let error = dial("localhost", anonymous, &acceptor).await.err().unwrap();
    assert!(
        matches!(error.kind(), ErrorKind::Tls | ErrorKind::Io),
        "{error}"
    );
}

#[tokio::test]
async fn client_certificate_stays_with_its_origin() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let asking = servers.acceptor_for_clients_of(Some(&clients), "localhost", &["http/1.1"]);
    let identity = clients.sign("client");
    let tls = ClientTls::new().roots_only(&servers.pem).unwrap();
    let own = tls
        .client_certificate(&identity.chain, &identity.key)
        .unwrap();
    for tls in [
        own,
        ClientTls::from_rustls(rustls_config(&servers, &identity)),
    ] {
        let (first, first_address) = listen().await;
        let (second, second_address) = listen().await;
        let client = connect(format!("wss://localhost:{}/", first_address.port()))
            .tls(tls)
            .redirects_max(1);
        let server = async {
            let location = format!("wss://localhost:{}/", second_address.port());
            let redirect = format!("HTTP/1.1 307 There\r\nLocation: {location}\r\n\r\n");
            let mut stream = accept_tls(&first, &asking).await;
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
            answer(&mut stream, &redirect).await;
            asking.accept(accept(&second).await).await.is_err()
        };
        let (result, is_anonymous) = join!(client, server);
        assert!(result.is_err() && is_anonymous);
    }
}

/// Returns a configuration as a program makes it that uses rustls itself.
fn rustls_config(servers: &Authority, identity: &Identity) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(servers.pem.as_bytes()).unwrap())
        .unwrap();
    let chain = CertificateDer::from_pem_slice(identity.chain.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let config = builder
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![chain], key);
    Arc::new(config.unwrap())
}

#[tokio::test]
async fn server_without_tls_is_a_tls_error_that_names_it() {
    let (listener, address) = listen().await;
    let client = connect(format!("wss://{address}/"))
        .tls(ClientTls::new().dangerous_accept_any_certificate());
    let server = async {
        use tokio::io::AsyncWriteExt as _;
        let mut stream = accept(&listener).await;
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
    };
    let (result, ()) = join!(client, server);
    assert!(tls_error(result).contains("127.0.0.1"));
}

#[test]
fn bad_pem_is_refused_at_once() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (identity, stranger) = (authority.sign("a"), other.sign("b"));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for result in [
        ClientTls::new().root("nothing here"),
        ClientTls::new().root(broken),
        ClientTls::new().roots_only(""),
        ClientTls::new().client_certificate(&identity.chain, "no key"),
        ClientTls::new().client_certificate("no chain", &identity.key),
        ClientTls::new().client_certificate(&identity.chain, &stranger.key),
    ] {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Config);
    }
}

#[test]
fn key_is_not_printed() {
    let identity = Authority::new().sign("a");
    let tls = ClientTls::new()
        .client_certificate(&identity.chain, &identity.key)
        .unwrap();
    assert!(format!("{tls:?}").len() < 200);
}

/// Returns a certificate as `openssl req -x509` makes it: marked as an authority's, and shown by a server.
fn self_signed(name: &str, change: impl FnOnce(&mut rcgen::CertificateParams)) -> Identity {
    let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.use_authority_key_identifier_extension = true;
    change(&mut params);
    let key = rcgen::KeyPair::generate().unwrap();
    Identity {
        chain: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

fn acceptor(identity: &Identity) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = CertificateDer::from_pem_slice(identity.chain.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

// Issue 13, C.21.
#[tokio::test]
async fn a_trusted_authority_may_be_the_server_itself_with_its_name_and_its_dates() {
    let right = self_signed("localhost", |_| {});
    let trusting = |identity: &Identity| ClientTls::new().roots_only(&identity.chain).unwrap();
    assert_greeted(dial("localhost", trusting(&right), &acceptor(&right)).await).await;

    let other = self_signed("localhost", |_| {});
    tls_error(dial("localhost", trusting(&other), &acceptor(&right)).await);
    let other_name = self_signed("example.com", |_| {});
    let error = dial("localhost", trusting(&other_name), &acceptor(&other_name)).await;
    assert!(tls_error(error).contains("not valid for name"));
    let expired = self_signed("localhost", |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let error = dial("localhost", trusting(&expired), &acceptor(&expired)).await;
    assert!(tls_error(error).contains("expired"));
    let early = self_signed("localhost", |params| {
        params.not_before = rcgen::date_time_ymd(4000, 1, 1);
    });
    let error = dial("localhost", trusting(&early), &acceptor(&early)).await;
    assert!(tls_error(error).contains("not valid yet"));
}

#[tokio::test]
async fn a_server_without_tls_says_that_ws_is_meant() {
    let (listener, address) = listen().await;
    let client = connect(format!("wss://{address}/"));
    let server = async {
        use tokio::io::AsyncWriteExt as _;
        let mut stream = accept(&listener).await;
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            .await
            .unwrap();
        stream
    };
    let (result, _stream) = join!(client, server);
    assert!(tls_error(result).contains("`ws:`"));
}
