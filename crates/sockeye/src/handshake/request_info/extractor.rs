//! `RequestInfo` as an extractor of axum.

use std::{convert::Infallible, net::SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::{HeaderMap, Uri, request, uri::Scheme};

use crate::handshake::{
    request_info::{RequestInfo, Shown, host_of},
    tls::Tls,
};

impl RequestInfo {
    /// Returns the value that a [`crate::Server`] has stored in the request, or else derives one from the request.
    pub(crate) fn of_foreign(parts: &http::Extensions, uri: &Uri, headers: &HeaderMap) -> Self {
        if let Some(info) = parts.get::<Self>() {
            return info.clone();
        }
        let peer = parts.get::<ConnectInfo<SocketAddr>>();
        Self::shown(Shown {
            peer_addr: peer.map(|ConnectInfo(addr)| *addr),
            // A request over HTTP/2 has the scheme. Over HTTP/1.1 only the HTTP server knows.
            tls: match uri.scheme() == Some(&Scheme::HTTPS) {
                true => Tls::Yes,
                false => Tls::No,
            },
            host: host_of(uri, headers),
        })
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Send + Sync> FromRequestParts<S> for RequestInfo {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut request::Parts,
        _state: &S,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self::of_foreign(
            &parts.extensions,
            &parts.uri,
            &parts.headers,
        ))
    }
}
