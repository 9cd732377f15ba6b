//! Which cryptography TLS uses.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

use crate::error::{Error, ErrorKind};

/// The provider that the program has installed as rustls' default, else AWS-LC's, else ring's.
///
/// Named, because another crate in the program may add a second provider to rustls, which then has no default.
/// ring is on by default, so that AWS-LC is there only if somebody wants it.
///
/// # Errors
///
/// Kind `Config`: there is none.
pub(super) fn provider() -> Result<Arc<CryptoProvider>, Error> {
    CryptoProvider::get_default()
        .cloned()
        .or_else(compiled_in)
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                "TLS has no cryptography: turn on the feature `ring` or `aws-lc-rs` of the crate `sockeye`, \
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
