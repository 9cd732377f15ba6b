//! A range of addresses.

use std::net::IpAddr;

use crate::error::{Error, ErrorKind};

/// A range of addresses: all whose first `bits` bits are those of `address`, as in `10.0.0.0/8`, `fd00::/8`,
/// `::1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cidr {
    /// Canonical: never an IPv4-mapped IPv6 address.
    address: IpAddr,
    bits: u32,
}

impl Cidr {
    /// Parses an address alone, or with the number of bits that count; IPv6 in brackets or not.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let unbracketed = address
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(address);
        let address: IpAddr = unbracketed.parse().ok()?;
        let all_bits = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= all_bits)?,
            None => all_bits,
        };
        Some(Self {
            address: address.to_canonical(),
            bits: canonical_bits(address, bits)?,
        })
    }

    /// Parses several ranges.
    ///
    /// # Errors
    ///
    /// Kind `Config`, for a text that is neither an address nor a range.
    pub(crate) fn parse_all(texts: &[String]) -> Result<Vec<Self>, Error> {
        let parse = |text: &String| {
            Self::parse(text).ok_or_else(|| {
                let message =
                    format!("{text:?} is not an address or a range; allowed: 127.0.0.1, 10.0.0.0/8, fd00::/8");
                Error::new(ErrorKind::Config, message)
            })
        };
        texts.iter().map(parse).collect()
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let differing = match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            _ => return false,
        };
        differing >= self.bits
    }
}

/// Returns the bits of the canonical address: `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
fn canonical_bits(address: IpAddr, bits: u32) -> Option<u32> {
    if address.is_ipv6() && address.to_canonical().is_ipv4() {
        bits.checked_sub(96)
    } else {
        Some(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_decide_in_either_dress() {
        for (cidr, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("0.0.0.0/0", "255.1.1.1", "::1"),
            ("::/0", "fe80::1", "1.2.3.4"),
            ("[fd00::]/8", "fdff::1", "fe00::1"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.1"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "::ffff:11.0.0.1"),
        ] {
            let cidr = Cidr::parse(cidr).expect(cidr);
            assert!(cidr.contains(inside.parse().unwrap()), "{inside}");
            assert!(!cidr.contains(outside.parse().unwrap()), "{outside}");
        }
        for bad in [
            "",
            "10.0.0.0/33",
            "::1/129",
            "10.0.0/8",
            "a",
            "10.0.0.0/",
            "10.0.0.0/-1",
        ] {
            assert_eq!(Cidr::parse(bad), None, "{bad}");
        }
    }
}
