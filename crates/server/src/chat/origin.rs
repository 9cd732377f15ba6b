//! Where somebody comes from: the network address that what they use up is counted against.

use std::net::{IpAddr, Ipv6Addr};

use sockeye::Session;

/// A network address, or the 64 bits of one that a household has to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Origin(IpAddr);

impl Origin {
    /// Of the client, as far as trusted proxies tell.
    pub(crate) fn of(session: &Session) -> Option<Self> {
        let addr = session.request()?.client_addr()?;
        Some(Self::from(addr))
    }
}

impl From<IpAddr> for Origin {
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
    fn who_has_many_addresses_of_one_network_is_one() {
        let origin = |text: &str| Origin::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(origin("2001:db8:1:2::1"), origin("2001:db8:1:2:ffff::9"));
        assert_ne!(origin("2001:db8:1:2::1"), origin("2001:db8:1:3::1"));
        assert_eq!(origin("::ffff:192.0.2.1"), origin("192.0.2.1"));
        assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
    }
}
