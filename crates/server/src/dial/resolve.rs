//! The value of `--resolve`: a host, a port and the addresses to connect to.

use std::{net::IpAddr, str::FromStr};

/// A value of `--resolve`, `HOST:PORT:ADDR[,ADDR]…`, as in curl.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolve {
    /// The host; IPv6 without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The addresses, at least one.
    pub(crate) addresses: Vec<IpAddr>,
}

impl FromStr for Resolve {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| {
            format!(
                "{text:?} is not an address for a host; allowed: HOST:PORT:ADDR[,ADDR]…, \
                 each ADDR an IPv4 or IPv6 address"
            )
        })
    }
}

fn parse(text: &str) -> Option<Resolve> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:")?,
        None => text.split_once(':')?,
    };
    let (port, addresses) = rest.split_once(':')?;
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| is_number && *port > 0)?;
    let address = |text: &str| {
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        bare.unwrap_or(text).parse().ok()
    };
    let addresses = addresses.split(',').map(address).collect::<Option<_>>()?;
    (!host.is_empty()).then(|| Resolve {
        host: host.to_owned(),
        port,
        addresses,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_port_and_addresses_are_told_apart() {
        for (text, host, port, addresses) in [
            (
                "a.example:443:10.0.0.1",
                "a.example",
                443,
                &["10.0.0.1"][..],
            ),
            (
                "a.example:80:::1,10.0.0.1",
                "a.example",
                80,
                &["::1", "10.0.0.1"],
            ),
            ("[::1]:80:[::2]", "::1", 80, &["::2"]),
        ] {
            let resolve: Resolve = text.parse().unwrap();
            assert_eq!((resolve.host.as_str(), resolve.port), (host, port));
            let addresses: Vec<IpAddr> = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
            assert_eq!(resolve.addresses, addresses, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_for_a_host_is_refused() {
        for text in [
            "",
            "a.example",
            "a.example:443",
            "a.example:443:",
            "a.example:443:b.example",
            "a.example:443:10.0.0.1,",
            "a.example:0:10.0.0.1",
            "a.example:+1:10.0.0.1",
            "a.example:65536:10.0.0.1",
            ":443:10.0.0.1",
            "::1:443:10.0.0.1",
        ] {
            assert!(text.parse::<Resolve>().is_err(), "{text}");
        }
    }
}
