//! Servers whose every byte the test decides.
#![allow(dead_code, reason = "each test binary uses another part")]
#![allow(unreachable_pub, reason = "a module of test binaries")]

use std::{
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::Poll,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use sockeye::{Error, WebSocket};
use sockeye_proto::handshake::accept_key;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

pub async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub async fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().await.unwrap().0
}

/// The head of a request.
pub struct Head(String);

impl Head {
    /// Reads a head, and no byte beyond it.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Self {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(stream.read_u8().await.unwrap());
        }
        Self::parse(bytes)
    }

    pub fn parse(bytes: Vec<u8>) -> Self {
        Self(String::from_utf8(bytes).unwrap())
    }

    pub fn line(&self) -> &str {
        self.0.lines().next().unwrap()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.0.lines().skip(1).filter_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        });
        let value = values.next();
        assert!(values.next().is_none(), "two fields {name}");
        value
    }

    /// Returns the 101 for this request, with additional fields, each with its CR LF.
    pub fn switching(&self, more: &str) -> String {
        let accept = accept_key(self.field("Sec-WebSocket-Key").unwrap());
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
        )
    }
}

/// Reads a request, answers 101 and then `Hi` in a text frame, in one write.
pub async fn greet<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Head {
    let head = Head::read(stream).await;
    let mut answer = head.switching("").into_bytes();
    answer.extend_from_slice(b"\x81\x02Hi");
    stream.write_all(&answer).await.unwrap();
    stream.flush().await.unwrap();
    head
}

/// Checks that the client has received what [`greet`] sends.
pub async fn assert_greeted(websocket: Result<WebSocket, Error>) {
    let message = websocket.unwrap().recv().await.unwrap().unwrap();
    assert_eq!(message.as_text(), Some("Hi"));
}

/// Reads a request and answers it with these bytes.
pub async fn answer<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, answer: &str) -> Head {
    let head = Head::read(stream).await;
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    head
}

/// Waits until the client has closed, and returns what it sent before.
pub async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset counts as a close.
    let _ = stream.read_to_end(&mut rest).await;
    rest
}

/// Polls `client` until `server` is done, then drops it.
pub async fn drop_when<T>(client: impl Future, server: impl Future<Output = T>) -> T {
    let mut client = pin!(client);
    let mut server = pin!(server);
    poll_fn(|context| {
        if let Poll::Ready(value) = server.as_mut().poll(context) {
            return Poll::Ready(value);
        }
        assert!(
            client.as_mut().poll(context).is_pending(),
            "the client wasn't to finish"
        );
        Poll::Pending
    })
    .await
}

/// A certificate authority.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
pub struct Identity {
    pub chain: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    pub fn sign(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Returns an acceptor with a certificate for `name`.
    pub fn acceptor(&self, name: &str, alpn: &[&str]) -> TlsAcceptor {
        self.acceptor_for_clients_of(None, name, alpn)
    }

    /// Returns an acceptor with a certificate for `name` that demands client certificates signed by `clients`.
    pub fn acceptor_for_clients_of(
        &self,
        clients: Option<&Self>,
        name: &str,
        alpn: &[&str],
    ) -> TlsAcceptor {
        let identity = self.sign(name);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = rustls::RootCertStore::empty();
                let root = CertificateDer::from_pem_slice(clients.pem.as_bytes()).unwrap();
                roots.add(root).unwrap();
                let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
                    Arc::new(roots),
                    provider,
                );
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = CertificateDer::from_pem_slice(identity.chain.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(vec![chain], key).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

pub async fn accept_tls(listener: &TcpListener, acceptor: &TlsAcceptor) -> TlsStream<TcpStream> {
    acceptor.accept(accept(listener).await).await.unwrap()
}
