//! Who asks a server for what, in the client's eyes: scheme, host and address, derived in this one place.

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

/// Scheme and host that the client has asked for (RFC 9110 section 7.1: its target URI), and the client's
/// address.
///
/// What a trusted proxy tells ([`crate::Server::trusted_proxies`]) counts, then what the connection itself
/// shows: its TLS, `:authority` over HTTP/2 or else `Host`, and the other end of TCP. A WebSocket's request
/// has it as [`crate::Request::info`]; a handler of the server's fallback takes it as an extractor, and so
/// does not look at `Host` or at the peer's address, which are the proxy's there.
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
/// On somebody else's axum server it tells what the request and axum's `ConnectInfo<SocketAddr>` show;
/// no proxy is trusted there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestInfo {
    tls: Option<Tls>,
    host: Option<Arc<str>>,
    client_addr: Option<IpAddr>,
    /// What limits for an address count it as; none if it isn't limited.
    key: Option<Key>,
}

/// What the connection shows of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) peer_addr: Option<SocketAddr>,
    pub(crate) tls: Tls,
    /// Of `:authority`, of an absolute target, or of `Host`, in this order.
    pub(crate) host: Option<&'a str>,
}

impl RequestInfo {
    /// Of the client's URI: `https` or `http`, also for a WebSocket's `wss` and `ws`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self.is_secure() {
            true => "https",
            false => "http",
        }
    }

    /// Whether the client uses TLS, to us or to a trusted proxy.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.tls == Some(Tls::Yes)
    }

    /// Host and perhaps port that the client has asked for, as it wrote them: `example.com`,
    /// `[::1]:8080`. None if a request of HTTP/1.0 names none.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The client's address: the nearest one that isn't a trusted proxy's, the proxy's own where it says
    /// nothing that can be believed. None if the transport isn't TCP.
    #[must_use]
    pub fn client_addr(&self) -> Option<IpAddr> {
        self.client_addr
    }

    /// The origin of the client's URI (RFC 9110 section 4.3.1), as a browser writes it: in small letters, and
    /// without a port that is the scheme's own. None without a host.
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

    /// Whether a page of `origin`, the value of an `Origin` field, comes from here: the rule of
    /// [`crate::Origins::Same`].
    #[must_use]
    pub fn is_same_origin(&self, origin: &str) -> bool {
        let tls = self.tls.unwrap_or(Tls::No);
        self.host()
            .is_some_and(|host| web_origin::is_at_host(origin, host, tls))
    }

    /// What limits for an address count it as; none if it isn't limited.
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

    /// Where no proxy is trusted.
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

/// The host of a request that an HTTP library read. RFC 9113 section 8.3.1, RFC 9112 section 3.2.2: that of
/// the target stands before `Host`.
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
