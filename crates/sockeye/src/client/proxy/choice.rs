//! The choice of a proxy for a URL.

use std::{env, ffi::OsString};

use crate::{
    client::{
        proxy::{
            no_proxy::NoProxy,
            server::{ProxyScheme, ProxyServer},
        },
        target::{Scheme, Target},
    },
    error::{Error, ErrorKind},
    tls::ClientTls,
};

/// The proxies of a client, and the hosts that it reaches without one.
///
/// A user and a password in the proxy's URL are sent to the proxy: as `Basic` credentials (RFC 7617) to
/// an HTTP proxy, as RFC 1929 has it to a SOCKS proxy.
///
/// ```no_run
/// # async fn example() -> Result<(), sockeye::Error> {
/// use sockeye::Proxy;
///
/// let proxy = Proxy::http("http://user:password@proxy.example:3128")?.no_proxy("localhost,10.0.0.0/8");
/// let websocket = sockeye::connect("wss://example.com/feed").proxy(proxy).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Proxy {
    for_ws: Option<ProxyServer>,
    for_wss: Option<ProxyServer>,
    no_proxy: NoProxy,
}

impl Proxy {
    /// Uses an HTTP proxy that supports CONNECT: `http://host:port`, or `https://host:port` for
    /// TLS with the proxy itself. Default ports 80 and 443.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if `url` is not the URL of an HTTP proxy.
    pub fn http(url: &str) -> Result<Self, Error> {
        Self::one(url, &[ProxyScheme::Http, ProxyScheme::Https])
    }

    /// Uses a SOCKS5 proxy (RFC 1928). With `socks5://host:port` the client resolves the server's name, with
    /// `socks5h://host:port` the proxy does. Default port 1080.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if `url` is not the URL of a SOCKS5 proxy.
    pub fn socks5(url: &str) -> Result<Self, Error> {
        Self::one(url, &[ProxyScheme::Socks5, ProxyScheme::Socks5h])
    }

    /// Reads the environment variables that most command-line programs read.
    ///
    /// `HTTP_PROXY` is for `ws:`, `HTTPS_PROXY` is for `wss:`, and `ALL_PROXY` is for the one of the two that isn't set.
    /// A value is a URL for [`http`](Self::http) or [`socks5`](Self::socks5), or `host:port` of an
    /// HTTP proxy. `NO_PROXY` has a list as in [`no_proxy`](Self::no_proxy). A name in lower case takes precedence.
    /// An empty value counts as unset. `HTTP_PROXY` in upper case is ignored if
    /// `REQUEST_METHOD` is set: in a CGI program it would be the client's header field `Proxy`.
    ///
    /// Without any of them connections are direct.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if a value is not a proxy's URL; the message names the variable.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_variables(env::vars_os())
    }

    /// Does what [`from_env`](Self::from_env) does, with these variables in place of the environment.
    ///
    /// # Errors
    ///
    /// The errors of [`from_env`](Self::from_env).
    pub fn from_variables<K, V>(variables: impl IntoIterator<Item = (K, V)>) -> Result<Self, Error>
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let found: Vec<(String, String)> = variables
            .into_iter()
            .filter_map(|(name, value)| {
                let name = name.into().into_string().ok()?;
                let value = value.into().to_string_lossy().trim().to_owned();
                let known = name == "REQUEST_METHOD" || {
                    let lower = name.to_ascii_lowercase();
                    VARIABLES.contains(&lower.as_str())
                        && (name == lower || name == lower.to_ascii_uppercase())
                };
                (known && !value.is_empty()).then_some((name, value))
            })
            .collect();
        let value = |name: &str| {
            found
                .iter()
                .find(|(found, _)| found == name)
                .map(|(_, value)| value.as_str())
        };
        let is_cgi = value("REQUEST_METHOD").is_some();
        let proxy = |lower: &str| -> Result<Option<ProxyServer>, Error> {
            let upper = lower.to_ascii_uppercase();
            let is_forgeable = is_cgi && upper == "HTTP_PROXY";
            let upper = (!is_forgeable).then_some(upper.as_str());
            for name in [Some(lower), upper].into_iter().flatten() {
                if let Some(value) = value(name) {
                    return match ProxyServer::parse_lenient(value) {
                        Ok(server) => Ok(Some(server)),
                        Err(error) => Err(Error::new(
                            ErrorKind::Config,
                            format!("environment variable {name}"),
                        )
                        .with_source(error)),
                    };
                }
            }
            Ok(None)
        };
        let (for_ws, for_wss) = (proxy("http_proxy")?, proxy("https_proxy")?);
        let for_all = if for_ws.is_some() && for_wss.is_some() {
            None
        } else {
            proxy("all_proxy")?
        };
        let no_proxy = value("no_proxy").or(value("NO_PROXY")).unwrap_or_default();
        Ok(Self {
            for_ws: for_ws.or_else(|| for_all.clone()),
            for_wss: for_wss.or(for_all),
            no_proxy: NoProxy::parse(no_proxy),
        })
    }

    /// Sets the hosts that are reached without a proxy, separated by commas or white space. Replaces an earlier list.
    ///
    /// - `example.com`, `.example.com` and `*.example.com` match that host and every host below it.
    /// - `10.0.0.1`, `::1`, `10.0.0.0/8` and `fd00::/8` match addresses in the URL. Names aren't resolved for it.
    /// - `*` matches every host.
    /// - `example.com:8080` and `[::1]:8080` match one port only.
    ///
    /// An entry that can't be parsed matches nothing.
    #[must_use]
    pub fn no_proxy(mut self, hosts: &str) -> Self {
        self.no_proxy = NoProxy::parse(hosts);
        self
    }

    /// Sets which proxies to trust, for TLS with the proxy itself (`https:`). Default: the
    /// roots of the operating system.
    #[cfg(feature = "rustls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
    #[must_use]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        for server in [&mut self.for_ws, &mut self.for_wss].into_iter().flatten() {
            server.tls = tls.clone();
        }
        self
    }

    /// Returns the proxy for `target`; `None` for a direct connection.
    pub(crate) fn server_for(&self, target: &Target) -> Option<&ProxyServer> {
        if self.no_proxy.matches(&target.host, target.port) {
            return None;
        }
        match target.scheme {
            Scheme::Ws => self.for_ws.as_ref(),
            Scheme::Wss => self.for_wss.as_ref(),
        }
    }

    fn one(url: &str, allowed: &[ProxyScheme]) -> Result<Self, Error> {
        let server = ProxyServer::parse(url)?;
        if !allowed.contains(&server.scheme) {
            return Err(Error::new(
                ErrorKind::Config,
                format!("`{server}` is not a proxy of this kind"),
            ));
        }
        Ok(Self {
            for_ws: Some(server.clone()),
            for_wss: Some(server),
            no_proxy: NoProxy::default(),
        })
    }
}

const VARIABLES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[(&str, &str)], url: &str) -> Option<String> {
        Proxy::from_variables(variables.iter().copied())
            .unwrap()
            .server_for(&Target::parse(url).unwrap())
            .map(ToString::to_string)
    }

    #[test]
    fn scheme_of_the_url_picks_the_variable_and_all_proxy_fills_in() {
        let variables = [
            ("HTTP_PROXY", "http://plain:1"),
            ("HTTPS_PROXY", "https://secure"),
            ("ALL_PROXY", "socks5h://all"),
        ];
        assert_eq!(chosen(&variables, "ws://a").unwrap(), "http://plain:1");
        assert_eq!(chosen(&variables, "wss://a").unwrap(), "https://secure:443");
        assert_eq!(
            chosen(&variables[2..], "ws://a").unwrap(),
            "socks5h://all:1080"
        );
        assert_eq!(
            chosen(&variables[1..], "ws://a").unwrap(),
            "socks5h://all:1080"
        );
        assert_eq!(chosen(&variables[..1], "wss://a"), None);
        assert_eq!(chosen(&[], "wss://a"), None);
    }

    #[test]
    fn lower_case_wins_and_empty_counts_as_unset() {
        let both = [("HTTP_PROXY", "http://upper"), ("http_proxy", "lower:8080")];
        assert_eq!(chosen(&both, "ws://a").unwrap(), "http://lower:8080");
        let empty = [("HTTP_PROXY", "http://upper"), ("http_proxy", "")];
        assert_eq!(chosen(&empty, "ws://a").unwrap(), "http://upper:80");
        let mixed = [("Http_Proxy", "http://mixed")];
        assert_eq!(chosen(&mixed, "ws://a"), None);
    }

    #[test]
    fn upper_case_http_proxy_is_ignored_in_a_cgi_program() {
        let cgi = ("REQUEST_METHOD", "GET");
        assert_eq!(
            chosen(&[("HTTP_PROXY", "http://evil"), cgi], "ws://a"),
            None
        );
        let lower = [("http_proxy", "http://good"), cgi];
        assert_eq!(chosen(&lower, "ws://a").unwrap(), "http://good:80");
        let https = [("HTTPS_PROXY", "http://good"), cgi];
        assert_eq!(chosen(&https, "wss://a").unwrap(), "http://good:80");
    }

    #[test]
    fn no_proxy_goes_directly() {
        let variables = [
            ("ALL_PROXY", "socks5://p"),
            ("NO_PROXY", "internal.example, 10.0.0.0/8"),
        ];
        assert_eq!(chosen(&variables, "ws://db.internal.example/"), None);
        assert_eq!(chosen(&variables, "wss://10.1.2.3/"), None);
        assert!(chosen(&variables, "wss://example.com/").is_some());
    }

    #[test]
    fn error_names_the_variable_and_hides_the_password() {
        let variables = [("https_proxy", "ftp://user:secret@proxy")];
        let error = Proxy::from_variables(variables).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = error.report().to_string();
        assert!(
            text.contains("https_proxy") && text.contains("ftp:") && !text.contains("secret"),
            "{text}"
        );
    }

    #[test]
    fn constructors_refuse_the_other_kind() {
        assert!(Proxy::http("https://proxy").is_ok());
        assert!(Proxy::socks5("socks5h://proxy").is_ok());
        for error in [
            Proxy::http("socks5://proxy").unwrap_err(),
            Proxy::socks5("http://proxy").unwrap_err(),
            Proxy::http("proxy:3128").unwrap_err(),
            Proxy::http("http://").unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Config);
        }
    }
}
