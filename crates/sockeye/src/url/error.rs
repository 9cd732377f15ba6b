//! Why a text is not a URL.

use std::fmt;

/// Why a text is not a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UrlError {
    /// It has no scheme, and there is nothing that it could be relative to.
    NoScheme,
    NoHost,
    BadDomain,
    /// The name isn't ASCII, and this build has no IDNA.
    #[cfg(not(feature = "idn"))]
    Internationalized,
    BadIpv4,
    BadIpv6,
    BadPort,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoScheme => "no scheme, such as `wss:`",
            Self::NoHost => "no host",
            Self::BadDomain => "the domain is malformed",
            #[cfg(not(feature = "idn"))]
            Self::Internationalized => {
                "the domain isn't ASCII, and sockeye is built without its feature `idn`"
            }
            Self::BadIpv4 => "the IPv4 address is malformed",
            Self::BadIpv6 => "the IPv6 address is malformed",
            Self::BadPort => "the port is no number of at most 65535",
        })
    }
}

impl std::error::Error for UrlError {}
