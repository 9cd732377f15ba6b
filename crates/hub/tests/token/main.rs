//! Tokens: which are accepted, which aren't, and why.

mod algorithms;
mod claims;
mod configuration;
mod hostile;
mod key_sets;
mod times;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use sockeye_hub::{
    UnixMillis,
    token::{TokenError, Verifier, VerifierConfig, sign_hs256},
};

/// 2026-01-01T00:00:00Z.
const NOW: UnixMillis = UnixMillis(1_767_225_600_000);
const SECRET: &str = "secret";

/// Returns a verifier that knows the secret.
fn verifier() -> Verifier {
    Verifier::new(with_secret(SECRET)).expect("a usable configuration")
}

fn with_secret(secret: &str) -> VerifierConfig {
    VerifierConfig {
        hmac_secret_key: Some(secret.to_owned()),
        ..VerifierConfig::default()
    }
}

/// Returns a token with these claims, signed with the secret.
fn signed(claims: &str) -> String {
    sign_hs256(SECRET.as_bytes(), claims.as_bytes()).expect("claims that are an object")
}

/// Returns a token with this header and these claims, whatever they are, signed with HS256.
fn signed_with_header(secret: &[u8], header: &[u8], claims: &[u8]) -> String {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret),
        signed.as_bytes(),
    );
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn invalid(reason: &str) -> TokenError {
    TokenError::Invalid(reason.to_owned().into())
}

#[track_caller]
fn assert_invalid<T: std::fmt::Debug>(result: Result<T, TokenError>, reason: &str) {
    assert_eq!(result.expect_err("refused"), invalid(reason));
}

/// Returns a file of `fixtures`.
macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("fixtures/", $name)).trim_end()
    };
}
pub(crate) use fixture;
