//! `Sec-WebSocket-Key` and `Sec-WebSocket-Accept`.

use alloc::string::String;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest as _, Sha1};

/// Returns the value of `Sec-WebSocket-Accept` that answers `key` (RFC 6455 section 4.2.2, item 5.4).
///
/// ```
/// use sockeye_proto::handshake::accept_key;
/// assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
#[must_use]
pub fn accept_key(key: &str) -> String {
    let digest = Sha1::new()
        .chain_update(key.as_bytes())
        .chain_update(GUID)
        .finalize();
    STANDARD.encode(digest)
}

/// Returns the value of `Sec-WebSocket-Key` for a nonce.
pub(super) fn encode_key(nonce: [u8; NONCE_BYTES]) -> String {
    STANDARD.encode(nonce)
}

/// Returns whether `key` is base64 of exactly 16 bytes in the form of section 4.1 item 7: 24 characters with padding, unused
/// bits zero.
pub(super) fn is_key(key: &[u8]) -> bool {
    // The decoder demands room for the most that 24 characters could hold.
    let mut nonce = [0; 18];
    key.len() == KEY_BYTES && STANDARD.decode_slice(key, &mut nonce) == Ok(NONCE_BYTES)
}

/// RFC 6455 section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Bytes. Section 4.1 item 7.
const NONCE_BYTES: usize = 16;

/// Bytes. 16 bytes in base64: 22 characters and two of padding.
const KEY_BYTES: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_answers_the_examples() {
        assert_eq!(
            accept_key("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert_eq!(
            accept_key("x3JJHMbDL1EzLkh9GBhXDw=="),
            "HSmrc0sMlYUkAGmm5OPpG2HaGWk="
        );
    }

    #[test]
    fn key_is_sixteen_bytes_in_canonical_base64() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(is_key(encode_key([255; 16]).as_bytes()));
        for bad in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZR==",
            "dGhlIHNhbXBsZSBub25jZQAA",
            "dGhlIHNhbXBsZSBub25jZQA=",
            "dGhlIHNhbXBsZSBub25j====",
            "dGhlIHNhbXBsZSBub25jZ_==",
            " GhlIHNhbXBsZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25jZQ==AAAA",
        ] {
            assert!(!is_key(bad.as_bytes()), "{bad:?}");
        }
    }
}
