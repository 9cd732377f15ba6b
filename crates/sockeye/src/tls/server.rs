//! TLS as a server: who we are.

use std::{fmt, fs, path::Path, sync::Arc};

use rustls::{ServerConfig, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio_rustls::TlsAcceptor;

use crate::{Error, ErrorKind};

/// TLS as a server: a certificate chain and its key.
///
/// TLS 1.2 and 1.3, with HTTP/2 and HTTP/1.1 by ALPN. Cheap to clone; clones share their session
/// tickets.
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
pub struct ServerTls(Arc<ServerConfig>);

impl ServerTls {
    /// From PEM text: the chain, our own certificate first, and the key (PKCS #8, PKCS #1 or SEC 1).
    ///
    /// # Errors
    ///
    /// Kind `Tls`: one of them can't be read, or they don't fit.
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, Error> {
        Self::parse(chain.as_ref(), key.as_ref(), "the certificate", "the key")
    }

    /// From files of PEM text.
    ///
    /// # Errors
    ///
    /// Kind `Tls`, naming the file.
    pub fn from_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, Error> {
        let (chain_path, key_path) = (chain.as_ref(), key.as_ref());
        Self::parse(
            &read(chain_path)?,
            &read(key_path)?,
            &format!("certificate {}", chain_path.display()),
            &format!("key {}", key_path.display()),
        )
    }

    /// From a rustls configuration of your own: client certificates, several names, other algorithms.
    /// Its ALPN protocols are taken as they are; without `h2` there is no HTTP/2.
    #[must_use]
    pub fn from_rustls(config: Arc<ServerConfig>) -> Self {
        Self(config)
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0))
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
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has what TLS 1.2 and 1.3 need")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| fail(format!("{chain_name} and {key_name} don't fit"), error))?;
        // RFC 7301: the server's preference counts.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
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
