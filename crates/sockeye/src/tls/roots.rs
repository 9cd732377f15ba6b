//! The roots that a client trusts by default.

use rustls::RootCertStore;

use crate::error::{Error, ErrorKind};

/// Returns the roots of the operating system (feature `native-roots`), or if it has none those of Mozilla (feature
/// `webpki-roots`).
///
/// # Errors
///
/// There are none, or they can't be read. A failure isn't kept: the next connection tries again.
pub(super) async fn default_roots() -> Result<RootCertStore, Error> {
    let native = native_roots().await;
    match mozilla_roots() {
        Some(roots) => Ok(native.unwrap_or(roots)),
        None => native,
    }
}

/// Reads the roots of the operating system: some hundred files, once for the process, on a thread that may block.
#[cfg(feature = "native-roots")]
async fn native_roots() -> Result<RootCertStore, Error> {
    use tokio::{sync::OnceCell, task::spawn_blocking};

    static ROOTS: OnceCell<RootCertStore> = OnceCell::const_new();
    let read = async || {
        let found = spawn_blocking(rustls_native_certs::load_native_certs)
            .await
            .map_err(|error| {
                let message = "reading the system's root certificates failed";
                Error::new(ErrorKind::Tls, message).with_source(error)
            })?;
        let mut roots = RootCertStore::empty();
        // Some systems have certificates that webpki can't use. The others still count.
        let (usable, unusable) = roots.add_parsable_certificates(found.certs);
        tracing::debug!(usable, unusable, "read the system's root certificates");
        if usable > 0 {
            return Ok(roots);
        }
        let error = Error::new(
            ErrorKind::Tls,
            "the system has no root certificates: install them or use `ClientTls::roots_only`",
        );
        Err(match found.errors.into_iter().next() {
            Some(cause) => error.with_source(cause),
            None => error,
        })
    };
    ROOTS.get_or_try_init(read).await.cloned()
}

#[cfg(not(feature = "native-roots"))]
async fn native_roots() -> Result<RootCertStore, Error> {
    Err(Error::new(
        ErrorKind::Config,
        "no server is trusted: turn on the feature `native-roots` or `webpki-roots` of the crate `sockeye`, or \
         use `ClientTls::roots_only`",
    ))
}

#[cfg(feature = "webpki-roots")]
fn mozilla_roots() -> Option<RootCertStore> {
    Some(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
}

#[cfg(not(feature = "webpki-roots"))]
fn mozilla_roots() -> Option<RootCertStore> {
    None
}
