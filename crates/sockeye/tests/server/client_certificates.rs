//! TLS servers that ask clients for certificates.

use axum::{Extension, Router, routing::get};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedKey, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, generate_simple_self_signed,
};
use sockeye::{
    ClientTls, Connect, Endpoint, ErrorKind, Http2, Message, PeerCertificates, Reply, Route,
    Server, ServerHandle, ServerTls, Session, UnixListen, connect,
};
use tokio::io::AsyncWriteExt as _;

use crate::support::{read_to_end, soon};

/// Who signs the certificates of clients.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A client's certificate and its key.
struct Identity {
    chain: String,
    key: String,
    der: Vec<u8>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    fn sign(&self, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new(["ann".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            chain: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().to_vec(),
        }
    }
}

/// Sends the bytes of the client's own certificate, or nothing.
struct Shown(Vec<u8>);

impl Endpoint for Shown {
    fn on_open(&mut self, session: &Session) {
        let _ = session.try_send(self.0.clone());
    }

    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::None
    }
}

fn shown(request: &sockeye::Request) -> Shown {
    let chain = request.peer_certificates().unwrap_or_default();
    Shown(chain.first().map(|own| own.to_vec()).unwrap_or_default())
}

fn with_routes(server: Server) -> Server {
    let slow = Route::new("/slow", |request| Ok(shown(request))).authorize(|_request| async {
        tokio::task::yield_now().await;
        Ok(())
    });
    let page = async |certificates: Option<Extension<PeerCertificates>>| {
        let count = certificates.map_or(0, |shown| shown.0.chain().len());
        format!("{count} certificates")
    };
    server
        .route("/now", |request| Ok(shown(request)))
        .mount(slow)
        .fallback(Router::new().route("/page", get(page)))
}

/// A server's own certificate, in PEM, and its TLS.
fn server_tls() -> (String, ServerTls) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = ServerTls::from_pem(cert.pem(), signing_key.serialize_pem()).unwrap();
    (cert.pem(), tls)
}

async fn start(tls: ServerTls) -> ServerHandle {
    let server = Server::unbound().listen_tls("127.0.0.1:0", tls);
    with_routes(server).start().await.unwrap()
}

fn dial(server: &ServerHandle, path: &str, root: &str, identity: Option<&Identity>) -> Connect {
    let port = server.local_addrs()[0].port();
    let mut tls = ClientTls::new().root(root).unwrap();
    if let Some(identity) = identity {
        tls = tls
            .client_certificate(&identity.chain, &identity.key)
            .unwrap();
    }
    connect(format!("wss://localhost:{port}{path}")).tls(tls)
}

/// What the server tells of the client's certificate.
async fn told(connect: Connect) -> Vec<u8> {
    let mut websocket = soon(connect.into_future()).await.unwrap();
    let message = soon(websocket.recv()).await.unwrap().unwrap();
    message.into_vec()
}

#[tokio::test]
async fn a_verified_certificate_is_shown_to_the_program_over_both_versions_of_http() {
    let authority = Authority::new();
    let (root, tls) = server_tls();
    let server = start(tls.require_client_certificates(&authority.pem).unwrap()).await;
    let ann = authority.sign(|_| {});
    for path in ["/now", "/slow"] {
        for http2 in [Http2::Off, Http2::Auto] {
            let dialled = dial(&server, path, &root, Some(&ann)).http2(http2);
            assert_eq!(told(dialled).await, ann.der, "{path} {http2:?}");
        }
    }
}

/// With TLS 1.3 the client learns of it only when it reads the answer.
#[tokio::test]
async fn a_client_without_a_good_certificate_is_refused_where_one_is_required() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (root, tls) = server_tls();
    let server = start(tls.require_client_certificates(&authority.pem).unwrap()).await;
    let of_another_issuer = stranger.sign(|_| {});
    let expired = authority.sign(|params| {
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let of_a_server = authority.sign(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    for (identity, what) in [
        (None, "none"),
        (Some(&of_another_issuer), "another issuer"),
        (Some(&expired), "expired"),
        (Some(&of_a_server), "a server's"),
    ] {
        let dialled = dial(&server, "/now", &root, identity);
        let error = soon(dialled.into_future()).await.unwrap_err();
        let is_of_network = matches!(error.kind(), ErrorKind::Tls | ErrorKind::Io);
        assert!(is_of_network, "{what}: {error:?}");
    }
    assert_eq!(server.sessions(), 0);
}

#[tokio::test]
async fn a_client_may_come_without_a_certificate_where_one_is_only_requested() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (root, tls) = server_tls();
    let server = start(tls.request_client_certificates(&authority.pem).unwrap()).await;
    let ann = authority.sign(|_| {});
    for path in ["/now", "/slow"] {
        assert_eq!(told(dial(&server, path, &root, Some(&ann))).await, ann.der);
        assert!(told(dial(&server, path, &root, None)).await.is_empty());
    }
    // A wrong one is still wrong.
    let wrong = stranger.sign(|_| {});
    let dialled = dial(&server, "/now", &root, Some(&wrong));
    assert!(soon(dialled.into_future()).await.is_err());
}

#[tokio::test]
async fn a_server_that_asks_for_none_shows_none() {
    let authority = Authority::new();
    let (root, tls) = server_tls();
    let server = start(tls).await;
    let ann = authority.sign(|_| {});
    let dialled = dial(&server, "/now", &root, Some(&ann));
    assert!(told(dialled).await.is_empty());
}

#[tokio::test]
async fn a_plain_request_and_a_websocket_after_it_have_the_certificate() {
    use std::sync::Arc;

    use rustls::{ClientConfig, RootCertStore, crypto::ring};
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    use tokio_rustls::TlsConnector;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let authority = Authority::new();
    let (root, tls) = server_tls();
    let tls = tls.require_client_certificates(&authority.pem).unwrap();
    let socket = UnixListen::at(&path).tls(tls);
    let _server = with_routes(Server::unbound().listen_unix(socket))
        .start()
        .await
        .unwrap();
    let ann = authority.sign(|_| {});
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap())
        .unwrap();
    let chain = vec![CertificateDer::from(ann.der.clone())];
    let key = PrivateKeyDer::from_pem_slice(ann.key.as_bytes()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let connecting = connector.connect("localhost".try_into().unwrap(), stream);
    let mut stream = soon(connecting).await.unwrap();
    let plain = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = "GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream
        .write_all(format!("{plain}{last}").as_bytes())
        .await
        .unwrap();
    let answers = read_to_end(&mut stream).await;
    assert_eq!(answers.matches("1 certificates").count(), 2, "{answers}");
}

#[tokio::test]
async fn a_replaced_certificate_goes_on_verifying_clients() {
    let authority = Authority::new();
    let (_, tls) = server_tls();
    let tls = tls.require_client_certificates(&authority.pem).unwrap();
    let server = start(tls.clone()).await;
    let (root, renewed) = server_tls();
    tls.replace_certificate(&renewed).unwrap();
    let ann = authority.sign(|_| {});
    assert_eq!(
        told(dial(&server, "/now", &root, Some(&ann))).await,
        ann.der
    );
    let without = dial(&server, "/now", &root, None);
    assert!(soon(without.into_future()).await.is_err());
}

#[tokio::test]
async fn roots_that_are_none_are_an_error() {
    let (_, tls) = server_tls();
    for roots in [
        "",
        "nonsense",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let error = tls.clone().require_client_certificates(roots).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{roots:?}");
    }
}
