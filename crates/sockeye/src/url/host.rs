//! The host of a URL.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use percent_encoding::percent_decode_str;

use crate::url::error::UrlError;

/// The host of a URL, as the URL Standard parses it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// In lower case, internationalised labels in Punycode. It may end with a dot.
    Domain(String),
    Ipv4(Ipv4Addr),
    Ipv6(Ipv6Addr),
}

impl Host {
    /// Parses a host as it stands in a URL: a name, an IPv4 address in any notation, an IPv6 address in brackets.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        if let Some(rest) = text.strip_prefix('[') {
            let address = rest.strip_suffix(']').ok_or(UrlError::BadIpv6)?;
            let address = address.parse().map_err(|_| UrlError::BadIpv6)?;
            return Ok(Self::Ipv6(address));
        }
        let domain = percent_decode_str(text).decode_utf8_lossy();
        let domain = domain_to_ascii(&domain)?;
        match ends_in_number(&domain) {
            true => Ok(Self::Ipv4(parse_ipv4(&domain)?)),
            false => Ok(Self::Domain(domain)),
        }
    }
}

/// An IPv6 address stands in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => f.write_str(domain),
            Self::Ipv4(address) => address.fmt(f),
            Self::Ipv6(address) => {
                f.write_str("[")?;
                write_ipv6(address, f)?;
                f.write_str("]")
            }
        }
    }
}

/// Converts labels that aren't ASCII to Punycode (UTS 46), and the others to lower case.
#[cfg(feature = "idn")]
fn domain_to_ascii(domain: &str) -> Result<String, UrlError> {
    let ascii = idna::domain_to_ascii_cow(domain.as_bytes(), idna::AsciiDenyList::URL);
    match ascii {
        Ok(ascii) if !ascii.is_empty() => Ok(ascii.into_owned()),
        Ok(_) => Err(UrlError::NoHost),
        Err(_) => Err(UrlError::BadDomain),
    }
}

/// Converts the domain to lower case. Punycode is left as it is.
#[cfg(not(feature = "idn"))]
fn domain_to_ascii(domain: &str) -> Result<String, UrlError> {
    if domain.is_empty() {
        return Err(UrlError::NoHost);
    }
    if !domain.is_ascii() {
        return Err(UrlError::Internationalized);
    }
    match domain.bytes().any(is_forbidden) {
        true => Err(UrlError::BadDomain),
        false => Ok(domain.to_ascii_lowercase()),
    }
}

/// The URL Standard's forbidden domain code points.
#[cfg(not(feature = "idn"))]
fn is_forbidden(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7F || b"#/:<>?@[\\]^|%".contains(&byte)
}

/// Returns whether the last label is a number, so that the host is an IPv4 address or nothing.
fn ends_in_number(domain: &str) -> bool {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let last = domain.rsplit('.').next().unwrap_or_default();
    !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
        || ipv4_number(last).is_ok_and(|number| number.is_some())
}

/// Parses one to four numbers, decimal, octal (`0`) or hexadecimal (`0x`), of which the last fills the rest.
fn parse_ipv4(domain: &str) -> Result<Ipv4Addr, UrlError> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let mut numbers = Vec::new();
    for part in domain.split('.') {
        if numbers.len() == 4 {
            return Err(UrlError::BadIpv4);
        }
        let number = ipv4_number(part)?.ok_or(UrlError::BadIpv4)?;
        numbers.push(number);
    }
    let last = numbers.pop().ok_or(UrlError::BadIpv4)?;
    let rest_bits = 8 * (4 - numbers.len() as u32);
    if last >= 1 << rest_bits || numbers.iter().any(|number| *number > 255) {
        return Err(UrlError::BadIpv4);
    }
    let first = (numbers.iter().zip([24, 16, 8])).map(|(number, shift)| number << shift);
    let bits = first.sum::<u64>() + last;
    Ok(Ipv4Addr::from(
        u32::try_from(bits).map_err(|_| UrlError::BadIpv4)?,
    ))
}

/// Parses one number of an IPv4 address. `None` if it has no digits and no prefix.
fn ipv4_number(text: &str) -> Result<Option<u64>, UrlError> {
    if text.is_empty() {
        return Ok(None);
    }
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = match (hexadecimal, text.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) => (digits, 8),
        (None, None) => (text, 10),
    };
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(UrlError::BadIpv4);
    }
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(Some(0));
    }
    // A number that is too large is too large for every place.
    Ok(Some(u64::from_str_radix(digits, radix).unwrap_or(u64::MAX)))
}

/// Writes the address as the URL Standard does, the first of the longest runs of zeros compressed. Rust writes some addresses
/// with a part in IPv4's notation.
fn write_ipv6(address: &Ipv6Addr, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let pieces = address.segments();
    let run_at = |start: usize| {
        pieces[start..]
            .iter()
            .take_while(|piece| **piece == 0)
            .count()
    };
    let longest = (0..pieces.len()).map(run_at).max().unwrap_or_default();
    let compressed = (0..pieces.len()).find(|start| longest > 1 && run_at(*start) == longest);
    let mut index = 0;
    while index < pieces.len() {
        if compressed == Some(index) {
            f.write_str(if index == 0 { "::" } else { ":" })?;
            index += longest;
            continue;
        }
        write!(f, "{:x}", pieces[index])?;
        index += 1;
        if index < pieces.len() {
            f.write_str(":")?;
        }
    }
    Ok(())
}
