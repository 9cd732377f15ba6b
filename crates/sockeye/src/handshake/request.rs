//! The request that opened a WebSocket.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};

use http::{Extensions, HeaderMap, Method, Uri, header};

use crate::handshake::{client_id::ClientId, fields::Fields, request_info::RequestInfo};

/// The request that opened a WebSocket: in the server the one received, in a client the one sent.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) fields: Fields,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) peer_addr: Option<SocketAddr>,
    /// Derived when it is known whom the server trusts.
    pub(crate) info: RequestInfo,
    pub(crate) tls: bool,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) extensions: Extensions,
}

impl Request {
    /// GET, or CONNECT over HTTP/2 (RFC 8441).
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The target, as in the request line.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The path, not decoded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// What follows the `?`, not decoded.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// All header fields.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.fields.map()
    }

    /// The part of the path that a route names `{name}`, percent-decoded.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the value of the first cookie with that name (RFC 6265 section 5.4), as sent.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<Cow<'_, str>> {
        Self::cookie_in(self.headers(), name).map(Cow::Borrowed)
    }

    /// Returns the value of the first cookie with that name in `headers`, as sent: [`Request::cookie`] for a
    /// handler that has header fields and no [`Request`].
    ///
    /// A `Cookie` field that isn't visible ASCII is skipped whole.
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue, header};
    /// use sockeye::Request;
    ///
    /// let mut headers = HeaderMap::new();
    /// headers.insert(header::COOKIE, HeaderValue::from_static("theme=dark; user=ann"));
    /// assert_eq!(Request::cookie_in(&headers, "user"), Some("ann"));
    /// assert_eq!(Request::cookie_in(&headers, "token"), None);
    /// ```
    #[must_use]
    pub fn cookie_in<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// Scheme, host and address of the client, whatever proxies stand between.
    #[must_use]
    pub fn info(&self) -> &RequestInfo {
        &self.info
    }

    /// The address that it comes from: its own, or what a trusted proxy says of it
    /// ([`crate::Server::trusted_proxies`]). None if the transport isn't TCP.
    #[must_use]
    pub fn client_addr(&self) -> Option<IpAddr> {
        let peer_addr = || self.peer_addr.map(|addr| addr.ip().to_canonical());
        self.info.client_addr().or_else(peer_addr)
    }

    /// Of the client's URI: `https` or `http`, also for `wss` and `ws`. See [`RequestInfo::scheme`].
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        self.info.scheme()
    }

    /// Host and perhaps port that the client has asked for, also over HTTP/2 and behind a trusted proxy. See
    /// [`RequestInfo::host`].
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.info.host()
    }

    /// The other end of TCP; behind a proxy that says so before the first byte, what it says
    /// ([`crate::Server::listen_behind_proxy`]). None if the transport isn't TCP.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// Whether TLS carries it to us. Whether the client uses TLS: [`RequestInfo::is_secure`].
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The subprotocols offered, best first.
    #[must_use]
    pub fn subprotocols(&self) -> &[String] {
        &self.subprotocols
    }

    /// Who it comes from, as far as [`crate::Route::identify`] found out.
    #[must_use]
    pub fn client_id(&self) -> Option<&ClientId> {
        self.extensions.get()
    }

    /// What middleware or `authorize` left for the endpoint.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }
}
