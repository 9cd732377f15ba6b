//! Making tokens, for tools and tests.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;

use super::{TOKEN_BYTES_MAX, TokenError, claim_parser::ClaimParser};

/// Signs claims with a secret (HS256) and returns the token.
///
/// Applications sign with the JWT library of their language; this is for tools, tests and programs in Rust that have
/// none.
///
/// # Errors
///
/// [`TokenError::Invalid`] if the secret is empty, the claims aren't a JSON object in which each name is there once, or the token is longer than
/// [`TOKEN_BYTES_MAX`].
pub fn sign_hs256(secret: &[u8], claims: &[u8]) -> Result<String, TokenError> {
    if secret.is_empty() {
        return Err(TokenError::invalid("the secret is empty"));
    }
    ClaimParser::new(claims)?;
    let mut token = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signature = hmac::sign(&key, token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::invalid("it is longer than 65536 bytes"));
    }
    Ok(token)
}
