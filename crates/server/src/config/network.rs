//! Ranges of addresses, such as those of proxies.

use std::{net::IpAddr, str::FromStr};

use super::shape::Shape;

/// An address, or a range of them: `127.0.0.1`, `10.0.0.0/8`, `fd00::/8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Network(pub(crate) String);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || Shape::Network.refuse(text);
        let (address, bits) = text.split_once('/').unwrap_or((text, "0"));
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let bits: u32 = bits.parse().map_err(|_| refuse())?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        match bits <= bits_max {
            true => Ok(Self(text.to_owned())),
            false => Err(refuse()),
        }
    }
}

/// A [`Network`] of proxies, or `unix:` for the peers of Unix sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrustedProxy(pub(crate) String);

impl FromStr for TrustedProxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text == "unix:" || text.parse::<Network>().is_ok() {
            true => Ok(Self(text.to_owned())),
            false => Err(Shape::TrustedProxy.refuse(text)),
        }
    }
}
