//! TLS as a client: whom it trusts, who it says it is.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use rustls::{
    ClientConfig, RootCertStore, SignatureScheme, client::ResolvesClientCert, sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio_rustls::TlsConnector;
use url::Host;

use crate::{
    connection::Stream,
    error::{Error, ErrorKind},
    tls::{
        provider::provider,
        roots::default_roots,
        secured::{Alpn, Secured},
        verifier::Verifier,
    },
};

/// TLS as a client: whom it trusts, who it says it is.
///
/// TLS 1.2 and 1.3. Cheap to clone; clones share their session tickets, so that a second connection
/// to a server resumes instead of shaking hands in full.
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
pub struct ClientTls(Arc<Parts>);

struct Parts {
    /// The program's own configuration, which overrules `trust`, `roots` and `identity`.
    given: Option<Arc<ClientConfig>>,
    trust: Trust,
    /// Trusted besides what `trust` says.
    roots: Vec<CertificateDer<'static>>,
    identity: Option<Identity>,
    server_name: Option<ServerName<'static>>,
    /// One per [`Alpn`], made when first needed.
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
    /// Trusts the roots of the operating system, shows no certificate of its own.
    ///
    /// The roots are read at the first connection, once per process; `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` name others. With the feature `webpki-roots` those of Mozilla are taken where the system has
    /// none; without the feature `native-roots` the system isn't asked.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Parts {
            given: None,
            trust: Trust::DefaultRoots,
            roots: Vec::new(),
            identity: None,
            server_name: None,
            configs: Default::default(),
        }))
    }

    /// A configuration of rustls as it is, but for ALPN: for another crypto provider, a verifier of
    /// the platform, keys in hardware. What is said about roots and certificates here doesn't count then.
    #[must_use]
    pub fn from_rustls(config: Arc<ClientConfig>) -> Self {
        Self::new().with(|parts| parts.given = Some(config))
    }

    /// Trusts the certificates in `pem` too: as roots that sign others, and as the server's own.
    ///
    /// # Errors
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

    /// Trusts the certificates in `pem` and no others: neither those of the system nor those of
    /// an earlier [`root`](Self::root).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if `pem` holds no certificate or a broken one.
    pub fn roots_only(self, pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.with(|parts| {
            parts.trust = Trust::OwnRoots;
            parts.roots.clear();
        })
        .root(pem)
    }

    /// Shows this certificate to a server that asks for one. `chain` and `key` are PEM, the chain
    /// with the client's own certificate first.
    ///
    /// After a redirect to another origin no certificate is shown.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if one of them is missing, broken, or they don't belong together.
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

    /// The name to ask for (SNI) and to find in the server's certificate. Default: the host of
    /// the URL. An IP address is checked, but not sent.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it is neither a DNS name nor an IP address.
    pub fn server_name(self, name: &str) -> Result<Self, Error> {
        let name = ServerName::try_from(name.to_owned()).map_err(|error| {
            Error::new(
                ErrorKind::Config,
                format!("`{name}` is no name for a server"),
            )
            .with_source(error)
        })?;
        Ok(self.with(|parts| parts.server_name = Some(name)))
    }

    /// Accepts whatever certificate the server shows: expired, self-signed, somebody else's.
    ///
    /// Anybody on the way can then read and change everything. For experiments on one's own desk.
    #[must_use]
    pub fn dangerous_accept_any_certificate(self) -> Self {
        self.with(|parts| parts.trust = Trust::Anyone)
    }

    /// The same for another origin: its own name, and nothing that tells who we are.
    pub(crate) fn anonymous(&self) -> Self {
        let parts = &self.0;
        if parts.identity.is_none() && parts.server_name.is_none() && parts.given.is_none() {
            return self.clone();
        }
        self.clone().with(|parts| {
            parts.identity = None;
            parts.server_name = None;
            if let Some(given) = &mut parts.given {
                Arc::make_mut(given).client_auth_cert_resolver = Arc::new(Nobody);
            }
        })
    }

    /// Whether a handshake can be tried at all.
    ///
    /// # Errors
    ///
    /// Kind `Config`: there is no cryptography.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.0.given {
            Some(_) => Ok(()),
            None => provider().map(|_| ()),
        }
    }

    /// Shakes hands over `stream`.
    ///
    /// Cancel safety: dropping the future drops the stream.
    pub(crate) async fn connect(
        &self,
        stream: Box<dyn Stream>,
        host: &Host<String>,
        alpn: Alpn,
    ) -> Result<Secured, Error> {
        let server_name = match (&self.0.server_name, host) {
            (Some(name), _) => name.clone(),
            (None, Host::Ipv4(address)) => ServerName::from(std::net::IpAddr::V4(*address)),
            (None, Host::Ipv6(address)) => ServerName::from(std::net::IpAddr::V6(*address)),
            // A name may end in a dot, a certificate's doesn't (RFC 6066 section 3).
            (None, Host::Domain(name)) => ServerName::try_from(
                name.strip_suffix('.').unwrap_or(name).to_owned(),
            )
            .map_err(|error| {
                Error::new(
                    ErrorKind::Tls,
                    format!("`{name}` can't be in a certificate"),
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
                        ", no TLS is spoken there: `ws:` may be meant (`http:` for a proxy)",
                    );
                }
                Error::new(ErrorKind::Tls, message).with_source(error)
            })?;
        Ok(Secured {
            is_http2: stream.get_ref().1.alpn_protocol() == Some(b"h2"),
            stream: Box::new(stream),
        })
    }

    fn with(mut self, change: impl FnOnce(&mut Parts)) -> Self {
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

/// Without the key.
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

impl Parts {
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

    /// The configuration for `alpn`, made once.
    async fn config(&self, alpn: Alpn) -> Result<Arc<ClientConfig>, Error> {
        let kept = &self.configs[alpn as usize];
        if let Some(config) = kept.get() {
            return Ok(Arc::clone(config));
        }
        let roots = match (self.trust, &self.given) {
            (Trust::DefaultRoots, None) => match default_roots().await {
                Ok(roots) => roots,
                // A container without any can still reach the servers of its company.
                Err(error) if !self.roots.is_empty() => {
                    tracing::warn!(%error, "only the program's own roots are trusted");
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

/// Whether the peer's first bytes were none of TLS.
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
    Error::new(ErrorKind::Config, "TLS can't be set up").with_source(error)
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

/// Has no certificate to show.
#[derive(Debug)]
struct Nobody;

impl ResolvesClientCert for Nobody {
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
