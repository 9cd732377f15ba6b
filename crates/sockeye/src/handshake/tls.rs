//! Whether TLS carries a request.

/// Whether TLS carries the request, as far as we can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    Yes,
    No,
}
