//! The crypto provider of TLS.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

use crate::error::{Error, ErrorKind};

/// Returns the provider that the program has installed as rustls' default, else AWS-LC's, else ring's.
///
/// The provider is named: rustls has no default provider if another crate in the program enables a second one.
/// AWS-LC goes before ring: ring is a default feature, so AWS-LC is enabled only if the program wants it.
///
/// # Errors
///
/// [`ErrorKind::Config`] if there is none.
pub(super) fn provider() -> Result<Arc<CryptoProvider>, Error> {
    CryptoProvider::get_default()
        .cloned()
        .or_else(compiled_in)
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                "TLS has no crypto provider: turn on the feature `ring` or `aws-lc-rs` of the crate `sockeye`, \
                 or install a `CryptoProvider` of rustls",
            )
        })
}

#[cfg(feature = "aws-lc-rs")]
fn compiled_in() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
fn compiled_in() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::ring::default_provider()))
}

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
fn compiled_in() -> Option<Arc<CryptoProvider>> {
    None
}
