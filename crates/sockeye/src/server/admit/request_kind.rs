//! What a request asks for, told from its first bytes.

use std::net::SocketAddr;

use sockeye_proto::{
    Limits,
    handshake::{self, BodyLength, RequestHead},
};

use crate::handshake::{Incoming, Refusal, Tls};

/// What a request asks for.
#[derive(Debug)]
pub(crate) enum RequestKind {
    /// A WebSocket. The number is the length of the head in bytes.
    WebSocket(Box<Incoming>, usize),
    /// Anything else over HTTP/1.1: the length of the head in bytes, and the body that follows it.
    Http1(usize, BodyLength),
    /// HTTP/2 without TLS, by prior knowledge (RFC 9113 section 3.3).
    #[cfg(feature = "http2")]
    Http2,
    Refused(Refusal),
}

impl RequestKind {
    /// Returns what `buffer`, all that a connection has sent, asks for. `None` if more bytes are needed.
    pub(crate) fn classify(
        buffer: &[u8],
        limits: &Limits,
        peer_addr: Option<SocketAddr>,
        tls: Tls,
    ) -> Option<Self> {
        #[cfg(feature = "http2")]
        {
            let preface_bytes = buffer.len().min(HTTP2_PREFACE.len());
            if buffer[..preface_bytes] == HTTP2_PREFACE[..preface_bytes] {
                return (preface_bytes == HTTP2_PREFACE.len()).then_some(Self::Http2);
            }
        }
        Self::classify_http1(buffer, limits, peer_addr, tls)
    }

    /// Classifies a request where only HTTP/1.1 can come. A later request of a connection has to obey the same rules
    /// as the first one.
    pub(crate) fn classify_http1(
        buffer: &[u8],
        limits: &Limits,
        peer_addr: Option<SocketAddr>,
        tls: Tls,
    ) -> Option<Self> {
        match RequestHead::parse(buffer, limits) {
            Ok(None) => None,
            Ok(Some((head, head_bytes))) if !head.wants_websocket() => {
                Some(match BodyLength::check(&head) {
                    Ok(body) => Self::Http1(head_bytes, body),
                    Err(refusal) => Self::Refused(refusal.into()),
                })
            }
            Ok(Some((head, head_bytes))) => {
                Some(match Incoming::from_head(&head, peer_addr, tls) {
                    Ok(incoming) => Self::WebSocket(Box::new(incoming), head_bytes),
                    Err(refusal) => Self::Refused(refusal),
                })
            }
            Err(error) => Some(Self::Refused(handshake::Refusal::from(error).into())),
        }
    }
}

/// RFC 9113 section 3.4.
#[cfg(feature = "http2")]
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    const WEBSOCKET: &str = "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    fn classify(bytes: &[u8]) -> Option<RequestKind> {
        RequestKind::classify(bytes, &Limits::default(), None, Tls::No)
    }

    #[test]
    fn nothing_is_told_before_the_head_is_whole() {
        for whole in [WEBSOCKET.as_bytes(), HTTP2_PREFACE] {
            for cut in 0..whole.len() {
                assert!(classify(&whole[..cut]).is_none(), "{cut}");
            }
        }
    }

    #[test]
    fn bytes_behind_the_head_are_not_part_of_it() {
        let bytes = [WEBSOCKET.as_bytes(), b"\x81\x80more"].concat();
        let Some(RequestKind::WebSocket(incoming, head_bytes)) = classify(&bytes) else {
            panic!("not a WebSocket");
        };
        assert_eq!(incoming.request.path(), "/echo");
        assert_eq!(head_bytes, WEBSOCKET.len());
    }

    #[test]
    fn each_kind_of_request_is_told_apart() {
        assert!(matches!(
            classify(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Some(RequestKind::Http1(27, BodyLength::Bytes(0)))
        ));
        let Some(RequestKind::Refused(refusal)) = classify(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
        else {
            panic!("taken with a host that is none");
        };
        assert_eq!(refusal.status().as_u16(), 400);
        assert!(matches!(classify(HTTP2_PREFACE), Some(RequestKind::Http2)));
        let without_key = WEBSOCKET.replace("Sec-WebSocket-Key", "X-Key");
        let Some(RequestKind::Refused(refusal)) = classify(without_key.as_bytes()) else {
            panic!("taken without a key");
        };
        assert_eq!(refusal.status().as_u16(), 400);
        assert!(matches!(
            classify(b"\x16\x03\x01"),
            Some(RequestKind::Refused(_))
        ));
    }
}
