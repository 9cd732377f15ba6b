//! The request that opened a WebSocket.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};

use http::{Extensions, HeaderMap, Method, Uri, header};
#[cfg(any(feature = "client", feature = "server"))]
use percent_encoding::percent_decode_str;

#[cfg(feature = "rustls")]
use crate::handshake::peer_certificates::PeerCertificates;
#[cfg(any(feature = "sockjs", feature = "engineio"))]
use crate::handshake::tls::Tls;
use crate::handshake::{client_id::ClientId, fields::Fields, request_info::RequestInfo};

/// The request that opened a WebSocket: in a server the one received, in a client the one sent.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) fields: Fields,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) peer_addr: Option<SocketAddr>,
    /// Derived once the server's trusted proxies are known.
    pub(crate) info: RequestInfo,
    pub(crate) tls: bool,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) extensions: Extensions,
}

impl Request {
    /// Makes the request of plain HTTP for a program that knows those of WebSockets.
    #[cfg(any(feature = "sockjs", feature = "engineio"))]
    pub(crate) fn from_plain(
        parts: http::request::Parts,
        (peer_addr, tls): (Option<SocketAddr>, Tls),
        info: RequestInfo,
    ) -> Self {
        let target = parts.uri.path_and_query().cloned();
        Self {
            method: parts.method,
            uri: target.map(Uri::from).unwrap_or_default(),
            fields: parts.headers.into(),
            peer_addr,
            info,
            tls: tls == Tls::Yes,
            extensions: parts.extensions,
            ..Self::default()
        }
    }

    /// Returns the method: GET, or CONNECT over HTTP/2 (RFC 8441).
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the target in origin-form: path and query, not decoded.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Returns the path, not decoded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// Returns what follows the `?`, not decoded; `None` without a `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// Returns the value of the first parameter with that name in the query, decoded as a form is: `+` is a space.
    /// `None` if there is no such parameter, or if its value isn't UTF-8.
    ///
    /// ```
    /// use sockeye::{Refusal, Request};
    /// use http::StatusCode;
    ///
    /// /// Returns which page of the history the client wants.
    /// fn page(request: &Request) -> Result<u32, Refusal> {
    ///     let text = request.query_param("page").unwrap_or("1".to_owned());
    ///     text.parse().map_err(|_| Refusal::new(StatusCode::BAD_REQUEST).body("page: not a number\n"))
    /// }
    /// ```
    #[must_use]
    #[cfg(any(feature = "client", feature = "server"))]
    pub fn query_param(&self, name: &str) -> Option<String> {
        String::from_utf8(self.query_param_bytes(name)?).ok()
    }

    /// Returns the same value, whatever its bytes are.
    #[cfg(any(feature = "client", feature = "server"))]
    pub(crate) fn query_param_bytes(&self, name: &str) -> Option<Vec<u8>> {
        let pairs = self.query().unwrap_or_default().split('&');
        let mut pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let (_, value) = pairs.find(|(key, _)| *form_decoded(key) == *name.as_bytes())?;
        Some(form_decoded(value))
    }

    /// Returns the token of `Authorization: Bearer …` (RFC 6750 section 2.1), as sent.
    ///
    /// A browser's `WebSocket` can't set header fields. Pages send a token in the query
    /// ([`Request::query_param`]), in a cookie, or as a subprotocol.
    #[must_use]
    pub fn bearer_token(&self) -> Option<&str> {
        let value = self.headers().get(header::AUTHORIZATION)?;
        // RFC 9110 section 11.1: the scheme's name in any case.
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        let token = token.trim();
        (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
    }

    /// Returns all header fields.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.fields.map()
    }

    /// Returns the part of the path that the route names `{name}`, percent-decoded.
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

    /// Returns the scheme and host that the client asked for, and its address, also behind trusted proxies.
    #[must_use]
    pub fn info(&self) -> &RequestInfo {
        &self.info
    }

    /// Returns the client's address: the peer's, or the one that a trusted proxy names
    /// ([`crate::Server::trusted_proxies`]). `None` if the connection isn't TCP.
    #[must_use]
    pub fn client_addr(&self) -> Option<IpAddr> {
        let peer_addr = || self.peer_addr.map(|addr| addr.ip().to_canonical());
        self.info.client_addr().or_else(peer_addr)
    }

    /// Returns the scheme of the client's URI: `https` or `http`, also for `wss` and `ws`. See [`RequestInfo::scheme`].
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        self.info.scheme()
    }

    /// Returns the host that the client asked for, with the port if the client wrote one; also over HTTP/2 and behind a
    /// trusted proxy. See [`RequestInfo::host`].
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.info.host()
    }

    /// Returns the address of the TCP peer. Behind a proxy that speaks the PROXY protocol it is the one that the proxy
    /// names ([`crate::Server::listen_behind_proxy`]). `None` if the connection isn't TCP.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// Returns whether this connection uses TLS. Behind a proxy, [`RequestInfo::is_secure`] returns whether the client
    /// does.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Returns the certificate chain that the client has shown over TLS, its own certificate first. `None` over plain TCP,
    /// if the client has shown none, or if the server doesn't ask for one
    /// ([`ServerTls::require_client_certificates`](crate::ServerTls::require_client_certificates)). The chain has been
    /// verified; whether its owner may connect is for [`Route::authorize`](crate::Route::authorize) to decide.
    ///
    /// ```no_run
    /// # use sockeye::{Endpoint, Message, Reply, Session};
    /// # struct Feed;
    /// # impl Endpoint for Feed {
    /// #     fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply { Reply::None }
    /// # }
    /// # fn may_connect(certificate: &[u8]) -> bool { true }
    /// use http::StatusCode;
    /// use sockeye::{Refusal, Route};
    ///
    /// let route = Route::new("/feed", |_request| Ok(Feed)).authorize(|request| async move {
    ///     let chain = request.peer_certificates().unwrap_or_default();
    ///     match chain.first().is_some_and(|certificate| may_connect(certificate)) {
    ///         true => Ok(()),
    ///         false => Err(Refusal::new(StatusCode::FORBIDDEN)),
    ///     }
    /// });
    /// ```
    #[cfg(feature = "rustls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
    #[must_use]
    pub fn peer_certificates(&self) -> Option<&[rustls_pki_types::CertificateDer<'static>]> {
        let certificates = self.extensions.get::<PeerCertificates>();
        certificates.map(PeerCertificates::chain)
    }

    /// Returns the subprotocols that the client offers, best first.
    #[must_use]
    pub fn subprotocols(&self) -> &[String] {
        &self.subprotocols
    }

    /// Returns the client's name; `None` if [`crate::Route::identify`] found none.
    #[must_use]
    pub fn client_id(&self) -> Option<&ClientId> {
        self.extensions.get()
    }

    /// Returns the values that middleware or `authorize` has stored for the endpoint.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }
}

/// Decodes as the URL standard has it for forms: `+` is a space, and a `%` that encodes nothing is itself.
#[cfg(any(feature = "client", feature = "server"))]
fn form_decoded(text: &str) -> Vec<u8> {
    percent_decode_str(&text.replace('+', " ")).collect()
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn asked(query: &str) -> Request {
        Request {
            uri: format!("/room?{query}").parse().unwrap(),
            ..Request::default()
        }
    }

    #[test]
    fn the_first_parameter_of_a_name_counts_and_is_decoded() {
        for (query, value) in [
            ("name=ann", Some("ann")),
            ("other=x&n%61me=a+b%2Bc&name=second", Some("a b+c")),
            ("name", Some("")),
            ("name=%E9%B1%BC", Some("\u{9c7c}")),
            ("name=50%", Some("50%")),
            ("name=%ff", None),
            ("Name=ann", None),
            ("", None),
        ] {
            assert_eq!(
                asked(query).query_param("name").as_deref(),
                value,
                "{query}"
            );
        }
        assert_eq!(Request::default().query_param("name"), None);
    }

    #[test]
    fn a_bearer_token_is_what_follows_its_scheme() {
        for (field, token) in [
            ("Bearer abc.def==", Some("abc.def==")),
            ("bearer  abc ", Some("abc")),
            ("Bearer ", None),
            ("Bearerabc", None),
            ("Basic abc", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(field));
            let request = Request {
                fields: headers.into(),
                ..Request::default()
            };
            assert_eq!(request.bearer_token(), token, "{field}");
        }
        assert_eq!(Request::default().bearer_token(), None);
    }
}
