//! The network of a client, to which limits apply.

use std::net::{IpAddr, Ipv6Addr};

use sockeye::Session;

/// An IPv4 address, or the first 64 bits of an IPv6 address, which one household has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClientNetwork(IpAddr);

impl ClientNetwork {
    /// Returns the network of a session's client, as trusted proxies report it.
    pub(crate) fn of(session: &Session) -> Option<Self> {
        let addr = session.request()?.client_addr()?;
        Some(Self::from(addr))
    }
}

impl From<IpAddr> for ClientNetwork {
    fn from(addr: IpAddr) -> Self {
        match addr.to_canonical() {
            IpAddr::V6(addr) => {
                let network = u128::from(addr) & !u128::from(u64::MAX);
                Self(Ipv6Addr::from(network).into())
            }
            addr @ IpAddr::V4(_) => Self(addr),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let origin = |text: &str| ClientNetwork::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(origin("2001:db8:1:2::1"), origin("2001:db8:1:2:ffff::9"));
        assert_ne!(origin("2001:db8:1:2::1"), origin("2001:db8:1:3::1"));
        assert_eq!(origin("::ffff:192.0.2.1"), origin("192.0.2.1"));
        assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
    }
}
