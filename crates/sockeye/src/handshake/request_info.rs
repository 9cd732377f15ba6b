//! Scheme, host and address of a request as the client sees them, derived in this one place.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::{HeaderMap, Uri, header};

#[cfg(feature = "axum")]
mod extractor;

use crate::{
    address::{AddressKey, Key},
    handshake::{tls::Tls, web_origin},
};

/// The scheme and host that the client asked for (RFC 9110 section 7.1: its target URI), and the client's address.
///
/// They come from a trusted proxy ([`crate::Server::trusted_proxies`]) if it names them, otherwise from the
/// connection: its TLS, `:authority` over HTTP/2 or else `Host`, and the TCP peer. A WebSocket's request
/// has them as [`crate::Request::info`]. A handler of the server's fallback takes this type as an extractor: behind a
/// proxy, `Host` and the peer's address would be the proxy's.
///
/// ```no_run
/// use sockeye::{RequestInfo, Server};
///
/// async fn page(info: RequestInfo) -> String {
///     format!("{:?} asks {:?}\n", info.client_addr(), info.origin())
/// }
///
/// let pages = axum::Router::new().route("/", axum::routing::get(page));
/// let server = Server::bind("127.0.0.1:8080").trusted_proxies(["127.0.0.1"]).fallback(pages);
/// ```
///
/// In an axum server without [`crate::Server`] it has what the request and axum's `ConnectInfo<SocketAddr>` show.
/// No proxy is trusted there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestInfo {
    tls: Option<Tls>,
    host: Option<Arc<str>>,
    client_addr: Option<IpAddr>,
    /// The key under which limits for each address count the client; `None` if it isn't limited.
    key: Option<Key>,
}

/// What the connection itself shows, without any proxy's fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) peer_addr: Option<SocketAddr>,
    pub(crate) tls: Tls,
    /// From `:authority`, an absolute target, or `Host`, in this order.
    pub(crate) host: Option<&'a str>,
}

impl RequestInfo {
    /// Returns the scheme of the client's URI: `https` or `http`, also for a WebSocket's `wss` and `ws`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self.is_secure() {
            true => "https",
            false => "http",
        }
    }

    /// Returns whether the client uses TLS, to this server or to a trusted proxy.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.tls == Some(Tls::Yes)
    }

    /// Returns the host that the client asked for, with the port if the client wrote one: `example.com`,
    /// `[::1]:8080`. `None` for a request of HTTP/1.0 without a host.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Returns the client's address: the nearest one that isn't a trusted proxy's. If a proxy names none that can be
    /// trusted, it is the proxy's own. `None` if the connection isn't TCP.
    #[must_use]
    pub fn client_addr(&self) -> Option<IpAddr> {
        self.client_addr
    }

    /// Returns the origin of the client's URI (RFC 9110 section 4.3.1) as a browser writes it: in lower case, and
    /// without the scheme's default port. `None` without a host.
    #[must_use]
    pub fn origin(&self) -> Option<String> {
        let (host, port) = web_origin::split_authority(self.host()?)?;
        let host = host.to_ascii_lowercase();
        let scheme = self.scheme();
        Some(
            match port.filter(|port| Some(*port) != web_origin::default_port(scheme)) {
                Some(port) => format!("{scheme}://{host}:{port}"),
                None => format!("{scheme}://{host}"),
            },
        )
    }

    /// Returns whether `origin`, the value of an `Origin` field, is the origin of this request: the rule of
    /// [`crate::Origins::Same`].
    #[must_use]
    pub fn is_same_origin(&self, origin: &str) -> bool {
        let tls = self.tls.unwrap_or(Tls::No);
        self.host()
            .is_some_and(|host| web_origin::is_at_host(origin, host, tls))
    }

    /// Returns the key under which limits for each address count the client; `None` if it isn't limited.
    pub(crate) fn key(&self) -> Option<Key> {
        self.key
    }

    pub(crate) fn new(
        tls: Tls,
        host: Option<Arc<str>>,
        client_addr: Option<IpAddr>,
        key: Option<Key>,
    ) -> Self {
        Self {
            tls: Some(tls),
            host,
            client_addr,
            key,
        }
    }

    /// Makes the value for a request that came without a trusted proxy.
    pub(crate) fn shown(shown: Shown<'_>) -> Self {
        let client_addr = shown.peer_addr.map(|addr| addr.ip().to_canonical());
        Self {
            tls: Some(shown.tls),
            host: shown.host.map(Arc::from),
            client_addr,
            key: client_addr.map(Key::of),
        }
    }
}

/// Returns the host of a request that an HTTP library has parsed: the target's, or else that of `Host` (RFC 9113
/// section 8.3.1, RFC 9112 section 3.2.2).
pub(crate) fn host_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers.get(header::HOST)?.to_str().ok(),
    }
}

impl From<&RequestInfo> for AddressKey {
    fn from(info: &RequestInfo) -> Self {
        Self::new(info.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(tls: Tls, host: &str) -> RequestInfo {
        RequestInfo::shown(Shown {
            peer_addr: None,
            tls,
            host: Some(host),
        })
    }

    #[test]
    fn origin_is_written_as_a_browser_writes_it() {
        use Tls::{No, Yes};
        for (tls, host, expected) in [
            (Yes, "Chat.Example", "https://chat.example"),
            (Yes, "chat.example:443", "https://chat.example"),
            (Yes, "chat.example:80", "https://chat.example:80"),
            (No, "chat.example:80", "http://chat.example"),
            (No, "chat.example:", "http://chat.example"),
            (No, "[::1]:8080", "http://[::1]:8080"),
        ] {
            let info = info(tls, host);
            assert_eq!(info.origin().as_deref(), Some(expected), "{host}");
            assert!(info.is_same_origin(expected), "{host}");
        }
        assert_eq!(RequestInfo::default().origin(), None);
        assert!(!RequestInfo::default().is_same_origin("http://a"));
        assert!(!info(Yes, "a").is_same_origin("http://a"));
    }

    #[test]
    fn target_stands_before_host() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "b.example".parse().unwrap());
        let absolute = Uri::from_static("http://a.example:81/x");
        assert_eq!(host_of(&absolute, &headers), Some("a.example:81"));
        assert_eq!(
            host_of(&Uri::from_static("/x"), &headers),
            Some("b.example")
        );
        assert_eq!(host_of(&Uri::from_static("/x"), &HeaderMap::new()), None);
    }
}
