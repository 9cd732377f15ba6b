//! The certificates that a peer has shown.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;

/// The certificate chain that the client of a request has shown and the server has verified, the client's own first.
///
/// A server asks for it with [`ServerTls::request_client_certificates`](crate::ServerTls::request_client_certificates) or
/// [`ServerTls::require_client_certificates`](crate::ServerTls::require_client_certificates). A WebSocket's request has it
/// as [`Request::peer_certificates`](crate::Request::peer_certificates), a plain request as an extension. A server of another
/// crate can insert it as an extension of a request, too. Cheap to clone.
///
/// ```no_run
/// use axum::{Extension, Router, routing::get};
/// use sockeye::{PeerCertificates, Server};
///
/// async fn page(certificates: Option<Extension<PeerCertificates>>) -> String {
///     match certificates {
///         Some(Extension(certificates)) => format!("{} certificates\n", certificates.chain().len()),
///         None => "no certificate\n".to_owned(),
///     }
/// }
///
/// let pages = Router::new().route("/", get(page));
/// let server = Server::bind("127.0.0.1:8080").fallback(pages);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificates(Arc<[CertificateDer<'static>]>);

impl PeerCertificates {
    /// Takes a chain that has been verified.
    pub fn new(chain: impl Into<Arc<[CertificateDer<'static>]>>) -> Self {
        Self(chain.into())
    }

    /// Returns the chain, the client's own certificate first, without the root.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0
    }
}
