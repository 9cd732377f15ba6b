//! The header of the PROXY protocol, versions 1 and 2.

use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// The header of HAProxy's PROXY protocol, version 1 or 2. A proxy sends it before the first byte of the peer, and tells the
/// address of the peer.
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
    /// At least so many more bytes belong to the header. A caller that reads no more than these reads nothing of the peer.
    More(usize),
    /// The header is complete.
    Whole {
        /// The address of the peer. `None` if the proxy connects for itself, for instance for a health check, or if the peer has
        /// no IP address.
        source: Option<SocketAddr>,
        /// The length of the header.
        head_bytes: usize,
    },
}

/// The reason why the bytes are no PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeadError {
    /// The connection begins with something else. Its peer is no proxy, or a proxy that is not configured to send the header.
    Missing,
    /// They begin like one and go on wrongly.
    Malformed,
    /// The header has more than [`ProxyHead::BYTES_MAX`] bytes.
    TooLong,
}

impl ProxyHead {
    /// Bytes. The longest accepted header. Version 2 allows 65,551, of which all but 232 are additional values that are ignored
    /// here.
    pub const BYTES_MAX: usize = 4096;

    /// Parses all bytes that have come so far.
    ///
    /// # Errors
    ///
    /// The bytes are no PROXY header, and no further bytes can make them one.
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
            Self::Missing => "the connection doesn't begin with a PROXY protocol header",
            Self::Malformed => "the PROXY protocol header is malformed",
            Self::TooLong => "the PROXY protocol header is too long",
        })
    }
}

impl core::error::Error for ProxyHeadError {}

/// Parses version 1, which is a line of text: `PROXY TCP4 SOURCE DESTINATION PORT PORT`.
fn version_1(bytes: &[u8]) -> Result<ProxyHead, ProxyHeadError> {
    begins_with(bytes, V1_SIGNATURE)?;
    let line = &bytes[..bytes.len().min(V1_BYTES_MAX)];
    let Some(end) = line.iter().position(|byte| *byte == b'\r') else {
        return match bytes.len() {
            V1_BYTES_MAX.. => Err(ProxyHeadError::TooLong),
            len if len < V1_BYTES_MIN => Ok(ProxyHead::More(V1_BYTES_MIN - len)),
            // At least CR and LF are still to come.
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

/// Parses what follows `PROXY `. The outer `None` means a malformed line, the inner one an unknown source.
fn line_source(line: &[u8]) -> Option<Option<SocketAddr>> {
    let line = core::str::from_utf8(line).ok()?;
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        // The specification says to ignore the rest of the line.
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
    // The destination is not used, but must be valid.
    let _ = (address(destination)?, destination_port);
    Some(Some(SocketAddr::new(source, port)))
}

/// Parses a port: digits without leading zeros.
fn line_port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_padded = text.len() > 1 && text.starts_with('0');
    (is_plain && !is_padded).then(|| text.parse().ok())?
}

/// Parses version 2: signature, version and command, family, length, addresses, additional values.
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

/// Reads the address at the beginning, and its port behind both addresses.
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

/// Bytes. The shortest line is `PROXY UNKNOWN\r\n`.
const V1_BYTES_MIN: usize = 15;

/// Bytes. The longest line, with CR and LF.
const V1_BYTES_MAX: usize = 107;

const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes. The part before the addresses.
const V2_BYTES_MIN: usize = 16;

#[cfg(test)]
mod tests;
