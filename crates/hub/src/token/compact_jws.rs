//! The parts of a token: header, claims, signature (RFC 7515, compact serialisation).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Algorithm, TokenError};

/// Bytes. A longer token isn't looked at. A client's message has this size at most, and 128 channels with names of 255
/// bytes fit.
pub const TOKEN_BYTES_MAX: usize = 65_536;

/// Bytes. A longer key id names no key.
pub(crate) const KEY_ID_BYTES_MAX: usize = 256;

/// A token whose signature nobody has verified. Anyone can write one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unverified {
    /// The header, JSON.
    pub header: Vec<u8>,
    /// The claims, JSON if the application has put JSON there.
    pub claims: Vec<u8>,
}

/// Decodes header and claims of a token without verifying anything. For tools that show a token to a person.
///
/// # Errors
///
/// [`TokenError::Invalid`] if it isn't three parts in base64url, or longer than [`TOKEN_BYTES_MAX`].
pub fn decode_unverified(token: &str) -> Result<Unverified, TokenError> {
    let jws = CompactJws::split(token)?;
    Ok(Unverified {
        header: jws.header,
        claims: jws.claims,
    })
}

/// A token that is split and decoded. Its header isn't parsed and its signature isn't verified.
pub(crate) struct CompactJws<'a> {
    /// What the signature is made of: the first two parts with the point between them, as they came.
    pub(crate) signed: &'a [u8],
    pub(crate) header: Vec<u8>,
    pub(crate) claims: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl<'a> CompactJws<'a> {
    pub(crate) fn split(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::invalid("it is longer than 65536 bytes"));
        }
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::invalid(
                "it isn't three parts with points between them",
            ));
        };
        let signed = &token.as_bytes()[..header.len() + 1 + claims.len()];
        Ok(Self {
            signed,
            header: decode(header, "the header isn't base64url")?,
            claims: decode(claims, "the claims aren't base64url")?,
            signature: decode(signature, "the signature isn't base64url")?,
        })
    }
}

/// RFC 7515, section 2: no padding, no line breaks, no other characters. Bits that are left over must be zero, so that
/// a signature has one form only.
fn decode(part: &str, reason: &'static str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::invalid(reason))
}

/// The members of a header that are looked at.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
}

impl Header {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, TokenError> {
        #[derive(Deserialize)]
        struct Members<'a> {
            alg: String,
            kid: Option<String>,
            #[serde(borrow)]
            crit: Option<&'a RawValue>,
        }

        let members: Members<'_> = serde_json::from_slice(json).map_err(|_| {
            TokenError::invalid("the header isn't a JSON object with the string `alg`")
        })?;
        // RFC 7515, section 4.1.11: an extension that isn't understood makes the token invalid. None is.
        if members.crit.is_some() {
            return Err(TokenError::invalid(
                "the header has critical extensions (`crit`)",
            ));
        }
        if members
            .kid
            .as_ref()
            .is_some_and(|kid| kid.len() > KEY_ID_BYTES_MAX)
        {
            return Err(TokenError::invalid(
                "the key id (`kid`) is longer than 256 bytes",
            ));
        }
        let algorithm = Algorithm::from_name(&members.alg).ok_or_else(|| {
            TokenError::invalid(match members.alg.as_str() {
                "none" => "it isn't signed (`alg` is `none`)",
                "ES512" => "ES512 isn't supported",
                _ => "the algorithm isn't supported",
            })
        })?;
        Ok(Self {
            algorithm,
            key_id: members.kid,
        })
    }
}
