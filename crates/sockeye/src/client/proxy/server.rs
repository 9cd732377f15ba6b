//! One proxy server.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::{
    client::target::{basic_authorization, shown},
    error::{Error, ErrorKind},
    tls::ClientTls,
    url::{Host, Url},
};

/// One proxy server: its address, its protocol, and the client's credentials for it.
#[derive(Clone)]
pub(crate) struct ProxyServer {
    pub(crate) scheme: ProxyScheme,
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// For TLS with the proxy itself.
    pub(crate) tls: ClientTls,
    /// `Basic …`, for HTTP proxies.
    pub(crate) authorization: Option<String>,
    /// For SOCKS5 proxies.
    pub(crate) credentials: Option<Credentials>,
}

/// A user and a password for SOCKS5, each of 1 to 255 bytes (RFC 1929 section 2), which has no encoding for them.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) user: Vec<u8>,
    pub(crate) password: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyScheme {
    Http,
    Https,
    /// The client resolves the server's name.
    Socks5,
    /// The proxy resolves the server's name.
    Socks5h,
}

impl ProxyServer {
    /// Parses the value of an environment variable: without a scheme it is an HTTP proxy, and `socks:`, which
    /// desktop environments write, is SOCKS5.
    pub(crate) fn parse_lenient(text: &str) -> Result<Self, Error> {
        match text.split_once("://") {
            None => Self::parse(&format!("http://{text}")),
            Some(("socks", rest)) => Self::parse(&format!("socks5://{rest}")),
            Some(_) => Self::parse(text),
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let bad = |what: &str| {
            let text = shown(text);
            Error::new(ErrorKind::Config, format!("proxy `{text}` {what}"))
        };
        let url = Url::parse(text).map_err(|error| bad("is not a URL").with_source(error))?;
        let (scheme, port) = match url.scheme() {
            "http" => (ProxyScheme::Http, 80),
            "https" => (ProxyScheme::Https, 443),
            "socks5" => (ProxyScheme::Socks5, SOCKS_PORT),
            "socks5h" => (ProxyScheme::Socks5h, SOCKS_PORT),
            _ => {
                return Err(bad(
                    "is neither `http:`, `https:`, `socks5:` nor `socks5h:`",
                ));
            }
        };
        let port = url.port().unwrap_or(port);
        if port == 0 {
            return Err(bad("has port 0"));
        }
        let mut server = Self {
            scheme,
            host: url.host().clone(),
            port,
            tls: ClientTls::new(),
            authorization: None,
            credentials: None,
        };
        if server.is_http() {
            server.authorization = basic_authorization(&url);
        } else if !url.username().is_empty() || url.password().is_some() {
            let credentials = Credentials {
                user: percent_decode_str(url.username()).collect(),
                password: percent_decode_str(url.password().unwrap_or_default()).collect(),
            };
            // RFC 1929 section 2: ULEN and PLEN are 1 to 255.
            for bytes in [&credentials.user, &credentials.password] {
                if !(1..=255).contains(&bytes.len()) {
                    return Err(bad(
                        "has a user or password that is not 1 to 255 bytes long",
                    ));
                }
            }
            server.credentials = Some(credentials);
        }
        Ok(server)
    }

    pub(crate) fn is_http(&self) -> bool {
        matches!(self.scheme, ProxyScheme::Http | ProxyScheme::Https)
    }
}

/// IANA's port for SOCKS.
const SOCKS_PORT: u16 = 1080;

/// Without credentials.
impl fmt::Display for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            ProxyScheme::Http => "http",
            ProxyScheme::Https => "https",
            ProxyScheme::Socks5 => "socks5",
            ProxyScheme::Socks5h => "socks5h",
        };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyServer({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_decoded_for_the_proxys_kind() {
        let http = ProxyServer::parse("http://Aladdin:open%20sesame@proxy/").unwrap();
        let expected = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        assert_eq!(http.authorization.as_deref(), Some(expected));
        let socks = ProxyServer::parse("socks5://u%40x:p%3aw@127.0.0.1:9").unwrap();
        let credentials = socks.credentials.unwrap();
        assert_eq!(credentials.user, b"u@x");
        assert_eq!(credentials.password, b"p:w");
        assert_eq!(socks.host.to_string(), "127.0.0.1");
        assert!(matches!(socks.host, Host::Ipv4(_)));
        assert_eq!(socks.port, 9);
        assert!(socks.authorization.is_none());
    }

    #[test]
    fn socks_credentials_that_dont_fit_are_refused() {
        let long = "x".repeat(256);
        for url in [
            "socks5://user@proxy".to_owned(),
            "socks5://:password@proxy".to_owned(),
            format!("socks5://{long}:p@proxy"),
        ] {
            assert_eq!(
                ProxyServer::parse(&url).unwrap_err().kind(),
                ErrorKind::Config
            );
        }
    }

    #[test]
    fn environment_values_may_lack_the_scheme() {
        let server = |text| ProxyServer::parse_lenient(text).unwrap().to_string();
        assert_eq!(server("proxy.example:3128"), "http://proxy.example:3128");
        assert_eq!(server("10.0.0.1"), "http://10.0.0.1:80");
        assert_eq!(server("user:pw@proxy:1"), "http://proxy:1");
        assert_eq!(server("socks://localhost:1081/"), "socks5://localhost:1081");
        assert_eq!(server("socks5h://[::1]"), "socks5h://[::1]:1080");
    }
}
