//! The value of `Host`: a host and an optional port (RFC 9110 section 7.2, RFC 3986 section 3.2).

use core::net::Ipv6Addr;

/// Returns whether `text` is `uri-host [ ":" port ]`, with a host that is not empty and without a user name.
///
/// Stricter than RFC 3986 in three points: `IPvFuture` literals are refused, because none is defined; a port must fit 16 bits;
/// a name has no comma, because two `Host` fields that were joined look like that.
#[must_use]
pub fn is_authority(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('[') else {
        let colon = text.find(':').unwrap_or(text.len());
        let (host, port) = text.split_at(colon);
        return is_reg_name(host) && is_port(port);
    };
    let Some((literal, port)) = rest.split_once(']') else {
        return false;
    };
    literal.parse::<Ipv6Addr>().is_ok() && is_port(port)
}

/// Returns whether `host` is a name: RFC 3986 section 3.2.2, `*( unreserved / pct-encoded / sub-delims )`, without the comma,
/// and not empty (RFC 9110 section 4.2.1).
fn is_reg_name(host: &str) -> bool {
    !host.is_empty()
        && is_made_of(host, |byte| {
            byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(&byte)
        })
}

/// Returns whether `text` is nothing, or a colon and any number of digits, also none (RFC 3986 section 3.2.3).
fn is_port(text: &str) -> bool {
    match text.strip_prefix(':') {
        None => text.is_empty(),
        Some("") => true,
        Some(digits) => {
            digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok()
        }
    }
}

/// Returns whether each byte is `allowed` or part of a well-formed percent encoding.
fn is_made_of(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        bytes = match (first, rest) {
            (b'%', [high, low, rest @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                rest
            }
            (b'%', _) => return false,
            (&byte, rest) if allowed(byte) => rest,
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authority_is_a_host_and_perhaps_a_port() {
        for good in [
            "example.com",
            "example.com:80",
            "example.com:",
            "127.0.0.1:65535",
            "[::1]",
            "[::1]:8080",
            "a_b.example",
            "%41.example",
            "localhost",
        ] {
            assert!(is_authority(good), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a b",
            "a@b",
            "user@host",
            "host:port",
            "host:65536",
            "host:1:2",
            "::1",
            "[::1",
            "[::1]x",
            "[v1.a]",
            "[]",
            "host/",
            "host?",
            "host#",
            "%4",
            "é",
            "a,b c",
            "host:+1",
        ] {
            assert!(!is_authority(bad), "{bad}");
        }
    }
}
