//! Whether a request came over TLS.

/// Whether a request came over TLS, as far as this end knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    Yes,
    No,
}
