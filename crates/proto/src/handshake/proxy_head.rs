//! What a proxy says before the first byte of the peer: the PROXY protocol, versions 1 and 2.

use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// What a proxy says before the first byte of the peer (PROXY protocol, versions 1 and 2, as HAProxy has
/// described it): for whom it has opened this connection.
///
/// ```
/// use sockeye_proto::handshake::ProxyHead;
///
/// let bytes = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\nGET / HTTP/1.1\r\n";
/// let ProxyHead::Whole { source, head_bytes } = ProxyHead::parse(bytes).unwrap() else { unreachable!() };
/// assert_eq!(source, Some("192.0.2.7:56324".parse().unwrap()));
/// assert!(bytes[head_bytes..].starts_with(b"GET"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHead {
    /// At least so many bytes more belong to it: whoever reads no more than that reads nothing of the peer's.
    More(usize),
    /// All of it was there.
    Whole {
        /// Whose connection it is; `None` if the proxy speaks for itself, such as for a health check, or
        /// for somebody without an address of IP.
        source: Option<SocketAddr>,
        /// How long it is.
        head_bytes: usize,
    },
}

/// Why it is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeadError {
    /// The connection begins with something else: its peer is no proxy, or one that isn't told to say it.
    Missing,
    /// It begins like one and goes on wrongly.
    Malformed,
    /// It is longer than we take: [`ProxyHead::BYTES_MAX`].
    TooLong,
}

impl ProxyHead {
    /// Bytes. The longest head that is taken. Version 2 could have 65,551, of which all but 232 are notes
    /// that nobody here reads.
    pub const BYTES_MAX: usize = 4096;

    /// From all bytes that have come so far.
    ///
    /// # Errors
    ///
    /// As soon as it is clear that no further byte can make it one.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProxyHeadError> {
        if bytes.is_empty() {
            return Ok(Self::More(V1_BYTES_MIN));
        }
        match bytes[0] {
            b'P' => version_1(bytes),
            b'\r' => version_2(bytes),
            _ => Err(ProxyHeadError::Missing),
        }
    }
}

impl fmt::Display for ProxyHeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the peer doesn't begin with a head of the PROXY protocol",
            Self::Malformed => "the peer's head of the PROXY protocol is malformed",
            Self::TooLong => "the peer's head of the PROXY protocol is too long",
        })
    }
}

impl core::error::Error for ProxyHeadError {}

/// One line for people: `PROXY TCP4 SOURCE DESTINATION PORT PORT`.
fn version_1(bytes: &[u8]) -> Result<ProxyHead, ProxyHeadError> {
    begins_with(bytes, V1_SIGNATURE)?;
    let line = &bytes[..bytes.len().min(V1_BYTES_MAX)];
    let Some(end) = line.iter().position(|byte| *byte == b'\r') else {
        return match bytes.len() {
            V1_BYTES_MAX.. => Err(ProxyHeadError::TooLong),
            len if len < V1_BYTES_MIN => Ok(ProxyHead::More(V1_BYTES_MIN - len)),
            // CR and LF are still to come.
            _ => Ok(ProxyHead::More(2)),
        };
    };
    match line.get(end + 1) {
        None if end + 1 >= V1_BYTES_MAX => return Err(ProxyHeadError::TooLong),
        None => return Ok(ProxyHead::More(1)),
        Some(b'\n') => {}
        Some(_) => return Err(ProxyHeadError::Malformed),
    }
    let source = line_source(&line[V1_SIGNATURE.len()..end]).ok_or(ProxyHeadError::Malformed)?;
    Ok(ProxyHead::Whole {
        source,
        head_bytes: end + 2,
    })
}

/// What follows `PROXY `. The inner `None` is an unknown source, the outer one nonsense.
fn line_source(line: &[u8]) -> Option<Option<SocketAddr>> {
    let line = core::str::from_utf8(line).ok()?;
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        // Whatever follows is to be ignored.
        return Some(None);
    }
    let mut words = line.split(' ');
    let family = words.next()?;
    let (source, destination) = (words.next()?, words.next()?);
    let (port, destination_port) = (line_port(words.next()?)?, line_port(words.next()?)?);
    if words.next().is_some() {
        return None;
    }
    let address = |text: &str| match family {
        "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => None,
    };
    let source = address(source)?;
    // Of no use to us, and yet no excuse.
    let _ = (address(destination)?, destination_port);
    Some(Some(SocketAddr::new(source, port)))
}

/// Digits without leading zeros.
fn line_port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_padded = text.len() > 1 && text.starts_with('0');
    (is_plain && !is_padded).then(|| text.parse().ok())?
}

/// Signature, version and command, family, length, addresses, notes.
fn version_2(bytes: &[u8]) -> Result<ProxyHead, ProxyHeadError> {
    begins_with(bytes, V2_SIGNATURE)?;
    let Some((fixed, rest)) = bytes.split_first_chunk::<V2_BYTES_MIN>() else {
        return Ok(ProxyHead::More(V2_BYTES_MIN - bytes.len()));
    };
    let [.., command, family, high, low] = *fixed;
    let payload_bytes = usize::from(u16::from_be_bytes([high, low]));
    let head_bytes = V2_BYTES_MIN + payload_bytes;
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(ProxyHeadError::Malformed),
    };
    let address_bytes = match family {
        // Unspecified.
        0x00 => 0,
        // IPv4, stream and datagram.
        0x11 | 0x12 => 12,
        0x21 | 0x22 => 36,
        // Two paths of a Unix socket.
        0x31 | 0x32 => 216,
        _ => return Err(ProxyHeadError::Malformed),
    };
    if !is_local && payload_bytes < address_bytes {
        return Err(ProxyHeadError::Malformed);
    }
    if head_bytes > ProxyHead::BYTES_MAX {
        return Err(ProxyHeadError::TooLong);
    }
    let Some(payload) = rest.get(..payload_bytes) else {
        return Ok(ProxyHead::More(payload_bytes - rest.len()));
    };
    let source = match family {
        _ if is_local => None,
        0x11 => binary_source::<4>(payload, 8),
        0x21 => binary_source::<16>(payload, 32),
        _ => None,
    };
    Ok(ProxyHead::Whole { source, head_bytes })
}

/// The address at the beginning, and its port behind both addresses.
fn binary_source<const BYTES: usize>(payload: &[u8], port_at: usize) -> Option<SocketAddr>
where
    IpAddr: From<[u8; BYTES]>,
{
    let address: [u8; BYTES] = *payload.first_chunk()?;
    let port = *payload.get(port_at..)?.first_chunk()?;
    Some(SocketAddr::new(address.into(), u16::from_be_bytes(port)))
}

fn begins_with(bytes: &[u8], signature: &[u8]) -> Result<(), ProxyHeadError> {
    let compared = bytes.len().min(signature.len());
    match bytes[..compared] == signature[..compared] {
        true => Ok(()),
        false => Err(ProxyHeadError::Missing),
    }
}

const V1_SIGNATURE: &[u8] = b"PROXY ";

/// Bytes of `PROXY UNKNOWN\r\n`, the shortest.
const V1_BYTES_MIN: usize = 15;

/// Bytes of the longest line, CR and LF included.
const V1_BYTES_MAX: usize = 107;

const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes before the addresses.
const V2_BYTES_MIN: usize = 16;

#[cfg(test)]
mod tests;
