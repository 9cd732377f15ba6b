//! Who opens a session over HTTP, so that nobody else uses it.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};

use http::{HeaderName, header};

use crate::{
    handshake::{ClientId, Request},
    server::route::CompiledRoute,
};

/// Who opens a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opener {
    /// What [`CredentialHasher::hash`] makes of the last request of which it is known who has sent it. Requests with the same
    /// credentials aren't asked again.
    pub(crate) credentials: u64,
    pub(crate) client: Option<ClientId>,
}

impl Opener {
    /// Returns whether a request that `route` has let through comes from the same client. The request has other credentials
    /// than those known.
    pub(crate) fn has_sent(&self, authorized: &Request, route: &CompiledRoute) -> bool {
        let is_same = authorized.client_id() == self.client.as_ref();
        // A check that lets a request through and doesn't say whose it is may have let in somebody else.
        let is_known = self.client.is_some() || !route.has_authorize();
        is_same && is_known
    }
}

/// Makes a keyed hash of all by which a route may tell who sends a request.
#[derive(Default)]
pub(crate) struct CredentialHasher(RandomState);

impl CredentialHasher {
    /// Hashes what tells clients apart. `is_own` says which parameters of the query belong to the protocol, so that they differ
    /// between the requests of one client.
    pub(crate) fn hash(&self, request: &Request, is_own: impl Fn(&str) -> bool) -> u64 {
        let mut hasher = self.0.build_hasher();
        for (name, value) in request.headers() {
            let is_browsers = NO_CREDENTIAL_PREFIXES
                .iter()
                .any(|prefix| name.as_str().starts_with(prefix));
            if !NO_CREDENTIALS.contains(name) && !is_browsers {
                (name.as_str(), value.as_bytes()).hash(&mut hasher);
            }
        }
        let pairs = request.query().unwrap_or_default().split('&');
        for pair in pairs {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            if !is_own(name) {
                pair.hash(&mut hasher);
            }
        }
        request.client_addr().hash(&mut hasher);
        #[cfg(feature = "rustls")]
        for certificate in request.peer_certificates().unwrap_or_default() {
            certificate.as_ref().hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// What the names of such fields begin with that browsers add by themselves.
const NO_CREDENTIAL_PREFIXES: [&str; 2] = ["sec-fetch-", "sec-ch-"];

/// Header fields in which the requests of one client differ, and which tell nobody who it is.
const NO_CREDENTIALS: [HeaderName; 17] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::IF_NONE_MATCH,
    header::ORIGIN,
    header::PRAGMA,
    header::REFERER,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("priority"),
];
