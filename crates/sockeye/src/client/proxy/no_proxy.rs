//! Hosts that are reached without a proxy.

use crate::{cidr::Cidr, url::Host};

/// Hosts that are reached without a proxy: the value of `NO_PROXY`.
#[derive(Clone, Debug, Default)]
pub(crate) struct NoProxy(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    hosts: Hosts,
    /// `None` matches every port.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// Matches this domain and all below it. In lower case, without a dot at either end.
    Domain(String),
    Cidr(Cidr),
}

impl NoProxy {
    /// Parses a list. Skips entries that can't be parsed: other programs read the variable too, and have
    /// other notations.
    pub(crate) fn parse(text: &str) -> Self {
        let entries = text.split(|c: char| c == ',' || c.is_whitespace());
        Self(entries.filter_map(Rule::parse).collect())
    }

    pub(crate) fn matches(&self, host: &Host, port: u16) -> bool {
        self.0
            .iter()
            .any(|rule| rule.port.is_none_or(|only| only == port) && rule.hosts.contain(host))
    }
}

impl Rule {
    fn parse(entry: &str) -> Option<Self> {
        if let Some(cidr) = Cidr::parse(entry) {
            let hosts = Hosts::Cidr(cidr);
            return Some(Self { hosts, port: None });
        }
        let (hosts, port) = match entry.rsplit_once(':') {
            Some((hosts, port)) => (hosts, Some(port.parse().ok()?)),
            None => (entry, None),
        };
        let cidr = Cidr::parse(hosts).map(Hosts::Cidr);
        let hosts = cidr.or_else(|| Hosts::parse_domain(hosts))?;
        Some(Self { hosts, port })
    }
}

impl Hosts {
    fn parse_domain(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let domain = text.strip_prefix('*').unwrap_or(text);
        let domain = domain.trim_matches('.').to_ascii_lowercase();
        // Parsed as the host of a URL is, so that an internationalised name compares in one form.
        match Host::parse(&domain) {
            Ok(Host::Domain(domain)) => Some(Self::Domain(domain)),
            _ => None,
        }
    }

    fn contain(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::All, _) => true,
            (Self::Domain(domain), Host::Domain(host)) => {
                let host = host.trim_end_matches('.');
                host.strip_suffix(domain.as_str())
                    .is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }
            (Self::Cidr(cidr), Host::Ipv4(host)) => cidr.contains((*host).into()),
            (Self::Cidr(cidr), Host::Ipv6(host)) => cidr.contains((*host).into()),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::target::Target;

    fn matches(rules: &str, url: &str) -> bool {
        let target = Target::parse(url).unwrap();
        NoProxy::parse(rules).matches(&target.host, target.port)
    }

    #[test]
    fn domain_means_itself_and_what_lies_below() {
        for rule in [
            "example.com",
            ".example.com",
            "*.example.com",
            "EXAMPLE.com",
            "example.com.",
        ] {
            assert!(matches(rule, "ws://example.com"), "{rule}");
            assert!(matches(rule, "ws://a.b.Example.com./"), "{rule}");
            assert!(!matches(rule, "ws://badexample.com"), "{rule}");
            assert!(!matches(rule, "ws://example.com.evil.org"), "{rule}");
        }
        assert!(matches("bücher.example", "ws://xn--bcher-kva.example"));
    }

    #[test]
    fn list_is_separated_by_commas_or_blanks() {
        for rules in ["a,b", "a, b", "a b", " a ,, b ,"] {
            assert!(
                matches(rules, "ws://a") && matches(rules, "ws://b"),
                "{rules}"
            );
            assert!(!matches(rules, "ws://c"), "{rules}");
        }
        assert!(!matches("", "ws://a"));
    }

    #[test]
    fn star_means_every_host() {
        assert!(matches("*", "ws://a") && matches("*", "ws://[::1]"));
        assert!(matches("*:81", "ws://a:81") && !matches("*:81", "ws://a"));
    }

    #[test]
    fn port_narrows_a_rule() {
        assert!(matches("a:8080", "ws://a:8080") && !matches("a:8080", "ws://a"));
        assert!(matches("a:443", "wss://a"));
        assert!(matches("[::1]:80", "ws://[::1]") && !matches("[::1]:80", "ws://[::1]:81"));
        assert!(
            matches("10.0.0.1:80", "ws://10.0.0.1") && !matches("10.0.0.1:80", "ws://10.0.0.1:81")
        );
    }

    #[test]
    fn addresses_and_networks_match_addresses() {
        for (rule, inside, outside) in [
            ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.168.1.0/25", "192.168.1.127", "192.168.1.128"),
            ("0.0.0.0/0", "1.2.3.4", "[::1]"),
            ("::1", "[::1]", "[::2]"),
            ("[::1]", "[::1]", "127.0.0.1"),
            ("fd00::/8", "[fdff::1]", "[fe00::1]"),
            ("10.0.0.0/8", "[::ffff:10.0.0.1]", "[::ffff:11.0.0.1]"),
            ("::ffff:10.0.0.0/104", "10.0.0.1", "11.0.0.1"),
        ] {
            assert!(matches(rule, &format!("ws://{inside}/")), "{rule} {inside}");
            assert!(
                !matches(rule, &format!("ws://{outside}/")),
                "{rule} {outside}"
            );
        }
    }

    #[test]
    fn nonsense_matches_nothing() {
        for rule in ["10.0.0.0/33", "a:b:c", "a:99999", "/8", "*a b", ":80", "."] {
            assert!(!matches(rule, "ws://10.0.0.1"), "{rule}");
        }
    }
}
