//! Addresses that the program gives for a host, in place of the resolver's.

use std::net::{IpAddr, SocketAddr};

use crate::{
    error::{Error, ErrorKind},
    url::{Host, UrlError},
};

/// Addresses that the program gives for hosts.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddressOverrides(Vec<AddressOverride>);

#[derive(Clone, Debug)]
struct AddressOverride {
    /// Parsed as the host of a URL is, so that the two compare equal.
    host: Result<Host, NotAHost>,
    port: u16,
    addresses: Vec<IpAddr>,
}

/// The text that the program gave as a host, and why it isn't one.
#[derive(Clone, Debug)]
struct NotAHost(String, UrlError);

impl AddressOverrides {
    /// Adds addresses for a host and a port. They replace earlier ones for the same host and port.
    pub(crate) fn add(&mut self, host: String, port: u16, addresses: Vec<IpAddr>) {
        // An IPv6 address has brackets in a URL, and need not have them here.
        let parsed = match host.parse() {
            Ok(IpAddr::V6(address)) => Ok(Host::Ipv6(address)),
            _ => Host::parse(&host),
        };
        self.0.push(AddressOverride {
            host: parsed.map_err(|error| NotAHost(host, error)),
            port,
            addresses,
        });
    }

    /// Returns an error for the first text that isn't a host.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.0.iter().find_map(|entry| entry.host.as_ref().err()) {
            None => Ok(()),
            Some(NotAHost(host, error)) => Err(Error::new(
                ErrorKind::Config,
                format!("{host:?} is not a host to resolve"),
            )
            .with_source(*error)),
        }
    }

    /// Returns the addresses that the program gave, if it gave any.
    pub(crate) fn find(&self, host: &Host, port: u16) -> Option<Vec<SocketAddr>> {
        let is_meant = |entry: &&AddressOverride| {
            entry.port == port && entry.host.as_ref().is_ok_and(|known| known == host)
        };
        let entry = self.0.iter().rev().find(is_meant)?;
        let addresses = entry.addresses.iter();
        Some(addresses.map(|address| (*address, port).into()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(entries: &[(&str, u16, &str)]) -> AddressOverrides {
        let mut overrides = AddressOverrides::default();
        for (host, port, address) in entries {
            overrides.add((*host).to_owned(), *port, vec![address.parse().unwrap()]);
        }
        overrides
    }

    #[test]
    fn a_host_is_compared_as_urls_compare_it_and_the_last_one_counts() {
        let overrides = overrides(&[
            ("EXAMPLE.com", 80, "10.0.0.1"),
            ("example.com", 80, "10.0.0.2"),
            ("bücher.example", 80, "10.0.0.3"),
            ("::1", 80, "10.0.0.4"),
            ("[::2]", 80, "10.0.0.5"),
        ]);
        overrides.check().unwrap();
        for (host, port, address) in [
            ("example.COM", 80, Some("10.0.0.2:80")),
            ("example.com", 81, None),
            ("xn--bcher-kva.example", 80, Some("10.0.0.3:80")),
            ("[::1]", 80, Some("10.0.0.4:80")),
            ("[::2]", 80, Some("10.0.0.5:80")),
            ("other.example", 80, None),
        ] {
            let found = overrides.find(&Host::parse(host).unwrap(), port);
            let expected = address.map(|address| vec![address.parse().unwrap()]);
            assert_eq!(found, expected, "{host}:{port}");
        }
    }

    #[test]
    fn a_host_that_is_none_is_reported() {
        for host in ["", "a b", "a:1", "[::1"] {
            let error = overrides(&[(host, 80, "10.0.0.1")]).check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{host}");
            assert!(error.to_string().contains(&format!("{host:?}")), "{error}");
        }
    }
}
