//! TLS as a client: which servers it trusts, and which certificate it shows.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use rustls::{
    ClientConfig, RootCertStore, SignatureScheme, client::ResolvesClientCert, sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio_rustls::TlsConnector;

use crate::{
    connection::Stream,
    error::{Error, ErrorKind},
    tls::{
        provider::provider,
        roots::default_roots,
        secured::{Alpn, Secured},
        verifier::Verifier,
    },
    url::Host,
};

/// TLS as a client: which servers it trusts, and which certificate it shows.
///
/// TLS 1.2 and 1.3. Cheap to clone. Clones share their session tickets, so that a second connection
/// to a server resumes the session instead of making a full handshake.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use sockeye::ClientTls;
///
/// let tls = ClientTls::new().root(std::fs::read("company-ca.pem")?)?;
/// let websocket = sockeye::connect("wss://intranet.example/feed").tls(tls).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ClientTls(Arc<ClientTlsParts>);

struct ClientTlsParts {
    /// The program's own configuration. With it `trust`, `roots` and `identity` don't count.
    given: Option<Arc<ClientConfig>>,
    trust: Trust,
    /// Trusted in addition to `trust`.
    roots: Vec<CertificateDer<'static>>,
    identity: Option<Identity>,
    server_name: Option<ServerName<'static>>,
    /// One for each [`Alpn`], made when first needed.
    configs: [OnceLock<Arc<ClientConfig>>; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    DefaultRoots,
    OwnRoots,
    Anyone,
}

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl ClientTls {
    /// Makes a configuration that trusts the roots of the operating system and shows no certificate.
    ///
    /// The roots are read at the first connection, once for the process. The environment variables `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` name others. With the feature `webpki-roots` the roots of Mozilla are used if the system has
    /// none. Without the feature `native-roots` the system's aren't read.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(ClientTlsParts {
            given: None,
            trust: Trust::DefaultRoots,
            roots: Vec::new(),
            identity: None,
            server_name: None,
            configs: Default::default(),
        }))
    }

    /// Takes a configuration of rustls as it is, except for ALPN: for another crypto provider, a verifier of
    /// the platform, keys in hardware. The methods for roots and certificates then have no effect.
    #[must_use]
    pub fn from_rustls(config: Arc<ClientConfig>) -> Self {
        Self::new().with(|parts| parts.given = Some(config))
    }

    /// Trusts also the certificates in `pem`: as roots that sign others, and as the server's own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if `pem` holds no certificate or a broken one.
    pub fn root(self, pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        let roots = certificates(pem.as_ref(), "root")?;
        // What webpki can't use as a trust anchor is found now, not at the first connection.
        for root in &roots {
            RootCertStore::empty().add(root.clone()).map_err(|error| {
                Error::new(ErrorKind::Config, "a root certificate can't be used").with_source(error)
            })?;
        }
        Ok(self.with(|parts| parts.roots.extend(roots)))
    }

    /// Trusts only the certificates in `pem`: neither those of the system nor those of an earlier
    /// [`root`](Self::root).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if `pem` holds no certificate or a broken one.
    pub fn roots_only(self, pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.with(|parts| {
            parts.trust = Trust::OwnRoots;
            parts.roots.clear();
        })
        .root(pem)
    }

    /// Shows this certificate to a server that asks for one. `chain` and `key` are PEM; the client's own certificate is
    /// the first of the chain.
    ///
    /// After a redirect to another origin the client shows no certificate.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if one of them is missing or broken, or the key isn't the certificate's.
    pub fn client_certificate(
        self,
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, Error> {
        let chain = certificates(chain.as_ref(), "client")?;
        let key = PrivateKeyDer::from_pem_slice(key.as_ref()).map_err(|error| {
            Error::new(
                ErrorKind::Config,
                "no private key in the PEM of the client certificate",
            )
            .with_source(error)
        })?;
        let tls = self.with(|parts| parts.identity = Some(Identity { chain, key }));
        tls.0.build(RootCertStore::empty())?;
        Ok(tls)
    }

    /// Sets the name that is sent as SNI and must be in the server's certificate. Default: the host of
    /// the URL. An IP address is checked but not sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if it is neither a DNS name nor an IP address.
    pub fn server_name(self, name: &str) -> Result<Self, Error> {
        let name = ServerName::try_from(name.to_owned()).map_err(|error| {
            Error::new(
                ErrorKind::Config,
                format!("`{name}` is neither a DNS name nor an IP address"),
            )
            .with_source(error)
        })?;
        Ok(self.with(|parts| parts.server_name = Some(name)))
    }

    /// Accepts every certificate of the server: expired, self-signed, or for another name.
    ///
    /// Anyone on the network path can then read and change all traffic. Only for experiments.
    #[must_use]
    pub fn dangerous_accept_any_certificate(self) -> Self {
        self.with(|parts| parts.trust = Trust::Anyone)
    }

    /// Returns it as a configuration of rustls, without ALPN, for a client of another protocol. The name that
    /// [`server_name`](Self::server_name) sets isn't part of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the roots of the system can't be read, or the crate was built without a crypto provider.
    ///
    /// # Cancel safety
    ///
    /// The system's roots are read by another thread, which goes on.
    pub async fn to_rustls(&self) -> Result<ClientConfig, Error> {
        let mut config = ClientConfig::clone(&*self.0.config(Alpn::Http1).await?);
        config.alpn_protocols.clear();
        Ok(config)
    }

    /// Returns a configuration for another origin: with the host of its URL as the name, and without the client's
    /// certificate.
    pub(crate) fn anonymous(&self) -> Self {
        let parts = &self.0;
        if parts.identity.is_none() && parts.server_name.is_none() && parts.given.is_none() {
            return self.clone();
        }
        self.clone().with(|parts| {
            parts.identity = None;
            parts.server_name = None;
            if let Some(given) = &mut parts.given {
                Arc::make_mut(given).client_auth_cert_resolver = Arc::new(NoCertificate);
            }
        })
    }

    /// Checks that there is cryptography for a handshake.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the crate was built without a crypto provider.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.0.given {
            Some(_) => Ok(()),
            None => provider().map(|_| ()),
        }
    }

    /// Makes the TLS handshake over `stream`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream.
    pub(crate) async fn connect(
        &self,
        stream: Box<dyn Stream>,
        host: &Host,
        alpn: Alpn,
    ) -> Result<Secured, Error> {
        let server_name = match (&self.0.server_name, host) {
            (Some(name), _) => name.clone(),
            (None, Host::Ipv4(address)) => ServerName::from(std::net::IpAddr::V4(*address)),
            (None, Host::Ipv6(address)) => ServerName::from(std::net::IpAddr::V6(*address)),
            // The host of a URL may end in a dot; SNI and certificates have none (RFC 6066 section 3).
            (None, Host::Domain(name)) => ServerName::try_from(
                name.strip_suffix('.').unwrap_or(name).to_owned(),
            )
            .map_err(|error| {
                Error::new(
                    ErrorKind::Tls,
                    format!("`{name}` can't be the name in a certificate"),
                )
                .with_source(error)
            })?,
        };
        let stream = TlsConnector::from(self.0.config(alpn).await?)
            .connect(server_name, stream)
            .await
            .map_err(|error| {
                let mut message = format!("TLS handshake with {host} failed");
                if is_plain_text(&error) {
                    message.push_str(
                        ", the server doesn't speak TLS on this port: use `ws:` (`http:` for a proxy)",
                    );
                }
                Error::new(ErrorKind::Tls, message).with_source(error)
            })?;
        Ok(Secured {
            is_http2: stream.get_ref().1.alpn_protocol() == Some(b"h2"),
            stream: Box::new(stream),
        })
    }

    fn with(mut self, change: impl FnOnce(&mut ClientTlsParts)) -> Self {
        if Arc::get_mut(&mut self.0).is_none() {
            self.0 = Arc::new(self.0.without_configs());
        }
        if let Some(parts) = Arc::get_mut(&mut self.0) {
            parts.configs = Default::default();
            change(parts);
        }
        self
    }
}

impl Default for ClientTls {
    fn default() -> Self {
        Self::new()
    }
}

/// Doesn't show the key.
impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("from_rustls", &self.0.given.is_some())
            .field("trust", &self.0.trust)
            .field("roots", &self.0.roots.len())
            .field("client_certificate", &self.0.identity.is_some())
            .field("server_name", &self.0.server_name)
            .finish_non_exhaustive()
    }
}

impl ClientTlsParts {
    fn without_configs(&self) -> Self {
        Self {
            given: self.given.clone(),
            trust: self.trust,
            roots: self.roots.clone(),
            identity: self.identity.as_ref().map(|identity| Identity {
                chain: identity.chain.clone(),
                key: identity.key.clone_key(),
            }),
            server_name: self.server_name.clone(),
            configs: Default::default(),
        }
    }

    /// Returns the configuration for `alpn`, which the first call makes.
    async fn config(&self, alpn: Alpn) -> Result<Arc<ClientConfig>, Error> {
        let kept = &self.configs[alpn as usize];
        if let Some(config) = kept.get() {
            return Ok(Arc::clone(config));
        }
        let roots = match (self.trust, &self.given) {
            (Trust::DefaultRoots, None) => match default_roots().await {
                Ok(roots) => roots,
                // A container without system roots can still reach servers that the program's own roots sign.
                Err(error) if !self.roots.is_empty() => {
                    tracing::warn!(error = %error.report(), "only the program's own roots are trusted");
                    RootCertStore::empty()
                }
                Err(error) => return Err(error),
            },
            _ => RootCertStore::empty(),
        };
        let mut config = match &self.given {
            Some(given) => ClientConfig::clone(given),
            None => self.build(roots)?,
        };
        config.alpn_protocols = match alpn {
            Alpn::Http1 => vec![b"http/1.1".to_vec()],
            #[cfg(feature = "http2")]
            Alpn::Http1AndHttp2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        let config = Arc::new(config);
        Ok(Arc::clone(kept.get_or_init(|| config)))
    }

    fn build(&self, mut roots: RootCertStore) -> Result<ClientConfig, Error> {
        for root in &self.roots {
            roots.add(root.clone()).map_err(bad_config)?;
        }
        let provider = provider()?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(bad_config)?;
        let builder = match self.trust {
            Trust::DefaultRoots | Trust::OwnRoots if self.roots.is_empty() => {
                builder.with_root_certificates(roots)
            }
            Trust::DefaultRoots | Trust::OwnRoots => {
                let verifier = Verifier::root_or_itself(roots, self.roots.clone(), provider)
                    .map_err(|error| bad_config(rustls::Error::General(error.to_string())))?;
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
            }
            Trust::Anyone => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Verifier::anyone(provider))),
        };
        match &self.identity {
            Some(Identity { chain, key }) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(bad_config),
            None => Ok(builder.with_no_client_auth()),
        }
    }
}

/// Returns whether the handshake failed because the peer's first bytes aren't TLS.
fn is_plain_text(error: &std::io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    matches!(
        error,
        Some(rustls::Error::InvalidMessage(
            rustls::InvalidMessage::InvalidContentType
                | rustls::InvalidMessage::UnknownProtocolVersion
                | rustls::InvalidMessage::MessageTooLarge
        ))
    )
}

fn bad_config(error: rustls::Error) -> Error {
    Error::new(ErrorKind::Config, "the TLS configuration can't be used").with_source(error)
}

fn certificates(pem: &[u8], whose: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| {
            Error::new(
                ErrorKind::Config,
                format!("the PEM of a {whose} certificate is broken"),
            )
            .with_source(error)
        })?;
    if certificates.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            format!("no {whose} certificate in the PEM"),
        ));
    }
    Ok(certificates)
}

/// A client without a certificate.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
