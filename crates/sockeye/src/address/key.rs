//! The key that stands for one client address.

use std::{net::IpAddr, num::NonZero};

/// The key that stands for one client address: an IPv4 address, or the first 64 bits of an IPv6 address,
/// since a client with one address of such a network has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(NonZero<u64>);

impl Key {
    pub(crate) fn of(addr: IpAddr) -> Self {
        let number = match addr.to_canonical() {
            IpAddr::V4(addr) => IPV4 | u64::from(addr.to_bits()),
            IpAddr::V6(addr) => (addr.to_bits() >> 64) as u64,
        };
        // `::1` gives 0, which becomes 1: no client has the network 1.
        Self(NonZero::new(number).unwrap_or(NonZero::<u64>::MIN))
    }
}

/// IPv6 multicast addresses, from which no client connects.
const IPV4: u64 = 0xffff_ffff << 32;

/// What limits for an address count a request as. A connection that has to count later keeps these 8 bytes, and not
/// the whole [`crate::RequestInfo`].
///
/// ```
/// use sockeye::{AddressKey, AddressRateLimiter, Rate, RequestInfo};
///
/// # let info = RequestInfo::default();
/// let guesses = AddressRateLimiter::new(Rate::per_minute(10));
/// let kept = AddressKey::from(&info);
/// assert!(guesses.count(kept).is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressKey(Option<Key>);

impl AddressKey {
    pub(crate) fn new(key: Option<Key>) -> Self {
        Self(key)
    }

    /// Returns the key; `None` if its address isn't limited.
    pub(crate) fn key(self) -> Option<Key> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_keeps_to_be_counted_is_small() {
        assert_eq!(size_of::<AddressKey>(), 8);
    }

    #[test]
    fn one_network_of_64_bits_is_one_address() {
        let key = |addr: &str| Key::of(addr.parse().unwrap());
        assert_eq!(key("2001:db8:0:1::1"), key("2001:db8:0:1:ffff::"));
        assert_ne!(key("2001:db8:0:1::1"), key("2001:db8:0:2::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("::192.0.2.1"));
    }
}
