//! TLS as a server: its certificate, and what it asks of clients.

use std::{fmt, fs, path::Path, sync::Arc};

use parking_lot::RwLock;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    server::{
        ClientHello, NoClientAuth, ResolvesServerCert, WebPkiClientVerifier,
        danger::ClientCertVerifier,
    },
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio_rustls::TlsAcceptor;

use crate::{
    error::{Error, ErrorKind},
    tls::provider::provider,
};

/// TLS as a server: a certificate chain and its key.
///
/// TLS 1.2 and 1.3, with HTTP/2 and HTTP/1.1 by ALPN. Cheap to clone; clones share their session
/// tickets and their certificate. Clients show no certificate unless they are asked for one.
///
/// ```no_run
/// use sockeye::{Server, ServerTls};
///
/// # fn example() -> Result<(), sockeye::Error> {
/// let tls = ServerTls::from_files("chain.pem", "key.pem")?;
/// let server = Server::unbound().listen_tls("0.0.0.0:443", tls);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    /// The certificate of `config`; `None` if the program made the configuration.
    certificate: Option<Arc<Certificate>>,
}

impl ServerTls {
    /// Reads PEM text: the chain, with the server's own certificate first, and the key (PKCS #8, PKCS #1 or SEC 1).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Tls`] if one of them can't be parsed, or the key isn't the certificate's. [`ErrorKind::Config`] if the
    /// crate was built without a crypto provider.
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, Error> {
        Self::parse(chain.as_ref(), key.as_ref(), "the certificate", "the key")
    }

    /// Reads two files of PEM text, with the contents that [`from_pem`](Self::from_pem) takes. Blocks while it reads.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Tls`] if a file can't be read or parsed, or the key isn't the certificate's; the message names the
    /// file.
    pub fn from_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, Error> {
        let (chain_path, key_path) = (chain.as_ref(), key.as_ref());
        Self::parse(
            &read(chain_path)?,
            &read(key_path)?,
            &format!("certificate {}", chain_path.display()),
            &format!("key {}", key_path.display()),
        )
    }

    /// Takes a configuration of rustls as it is: for several names, other algorithms, revocation lists.
    /// Without `h2` in its ALPN protocols there is no HTTP/2.
    #[must_use]
    pub fn from_rustls(config: Arc<ServerConfig>) -> Self {
        Self {
            config,
            certificate: None,
        }
    }

    /// Replaces the certificate by that of `renewed`, in all clones, for TLS handshakes that begin from now on. Open
    /// connections stay open, and clients still resume their sessions.
    ///
    /// ```no_run
    /// # use sockeye::ServerTls;
    /// # fn example(tls: &ServerTls) -> Result<(), sockeye::Error> {
    /// tls.replace_certificate(&ServerTls::from_files("chain.pem", "key.pem")?)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if one of the two was made by [`from_rustls`](Self::from_rustls): such a configuration
    /// chooses its certificate itself.
    pub fn replace_certificate(&self, renewed: &Self) -> Result<(), Error> {
        let (Some(ours), Some(renewed)) = (&self.certificate, &renewed.certificate) else {
            let message = "a configuration made of rustls chooses its certificate itself";
            return Err(Error::new(ErrorKind::Config, message));
        };
        let renewed = renewed.current();
        *ours.0.write() = renewed;
        Ok(())
    }

    /// Asks every client for a certificate that one of `roots` (PEM) has issued, and lets those without one connect, too:
    /// [`Request::peer_certificates`](crate::Request::peer_certificates) tells them apart.
    ///
    /// A client that shows a certificate of somebody else, one that is expired, or one that isn't for clients (extended key
    /// usage) can't connect. Revocation isn't checked: see [`from_rustls`](Self::from_rustls).
    ///
    /// An open connection doesn't end when its certificate expires, and a client that resumes a TLS session is who it was
    /// when the session began. As long as a connection is open, rustls keeps the chain: a kilobyte or two for each client
    /// that shows one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Tls`] if `roots` can't be parsed or has no certificate. [`ErrorKind::Config`] if `self` was made by
    /// [`from_rustls`](Self::from_rustls).
    pub fn request_client_certificates(self, roots: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.verifying_clients(roots.as_ref(), ClientAuth::Request)
    }

    /// Refuses every client that doesn't show a certificate which one of `roots` (PEM) has issued. What
    /// [`request_client_certificates`](Self::request_client_certificates) says of certificates holds here, too.
    ///
    /// The TLS handshake fails then, so a refused client gets an alert and no HTTP answer, not even to a health check.
    ///
    /// ```no_run
    /// use sockeye::{Server, ServerTls};
    ///
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let tls = ServerTls::from_files("chain.pem", "key.pem")?;
    /// let tls = tls.require_client_certificates(std::fs::read("clients.pem")?)?;
    /// let server = Server::unbound().listen_tls("0.0.0.0:443", tls);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`request_client_certificates`](Self::request_client_certificates).
    pub fn require_client_certificates(self, roots: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.verifying_clients(roots.as_ref(), ClientAuth::Require)
    }

    /// Makes the configuration again, with the same certificate: rustls can't change one.
    fn verifying_clients(self, roots: &[u8], client_auth: ClientAuth) -> Result<Self, Error> {
        let Some(certificate) = self.certificate else {
            let message = "a configuration made of rustls verifies clients itself";
            return Err(Error::new(ErrorKind::Config, message));
        };
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(roots)
            .collect::<Result<_, _>>()
            .map_err(|error| fail("the roots of clients cannot be read".to_owned(), error))?;
        let mut store = RootCertStore::empty();
        for root in certificates {
            let added = store.add(root);
            added.map_err(|error| fail("a root of clients cannot be used".to_owned(), error))?;
        }
        let provider = provider()?;
        // An empty store is an error of the builder.
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider));
        let verifier = match client_auth {
            ClientAuth::Request => verifier.allow_unauthenticated(),
            ClientAuth::Require => verifier,
        };
        let verifier = verifier
            .build()
            .map_err(|error| fail("the roots of clients cannot be used".to_owned(), error))?;
        Ok(Self {
            config: Arc::new(config(provider, verifier, &certificate)?),
            certificate: Some(certificate),
        })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    fn parse(chain: &[u8], key: &[u8], chain_name: &str, key_name: &str) -> Result<Self, Error> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| fail(format!("{chain_name} cannot be read"), error))?;
        if chain.is_empty() {
            let message = format!("{chain_name} has no PEM block of a certificate");
            return Err(Error::new(ErrorKind::Tls, message));
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| fail(format!("{key_name} cannot be read"), error))?;
        let provider = provider()?;
        let shown = CertifiedKey::from_der(chain, key, &provider)
            .map_err(|error| fail(format!("{chain_name} and {key_name} don't fit"), error))?;
        let certificate = Arc::new(Certificate(RwLock::new(Arc::new(shown))));
        Ok(Self {
            config: Arc::new(config(provider, Arc::new(NoClientAuth), &certificate)?),
            certificate: Some(certificate),
        })
    }
}

/// Whether a client without a certificate may connect.
#[derive(Clone, Copy, Debug)]
enum ClientAuth {
    Request,
    Require,
}

fn config(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ClientCertVerifier>,
    certificate: &Arc<Certificate>,
) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fail("TLS can't be set up".to_owned(), error))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::clone(certificate) as _);
    // RFC 7301: the server's preference counts.
    config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

#[cfg(feature = "http2")]
const ALPN: &[&[u8]] = &[b"h2", b"http/1.1"];

#[cfg(not(feature = "http2"))]
const ALPN: &[&[u8]] = &[b"http/1.1"];

/// The current certificate with its key. Read once for each full TLS handshake.
#[derive(Debug)]
struct Certificate(RwLock<Arc<CertifiedKey>>);

impl Certificate {
    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read())
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| fail(format!("cannot read {}", path.display()), error))
}

fn fail(message: String, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Tls, message).with_source(error)
}
