//! Tokens: what the application has signed about a client (JWT).
//!
//! A connection token says who a client is. A subscription token says that it may subscribe to one channel. The
//! application signs them with a key, and a [`Verifier`] checks them with the same secret or with the public key.
//!
//! ```text
//!   application ── signs ──> token ──> client ──> server
//!                                                   │
//!     length ──> three parts ──> header ──> key ──> signature ──> claims ──> issuer, audience ──> times ──> claims
//!                                  │         ^
//!                            kid unknown     └── static keys, or the key cache
//!                                  │                                 ^
//!                                  └──> JwksSource, a fixed URL ─────┘
//! ```
//!
//! What it promises:
//! - The key decides which algorithms are accepted, never the token. `none` isn't an algorithm here, and a public key
//!   is never used as a secret.
//! - Claims are read after the signature has been verified. The only exception is `iss`, which chooses among the
//!   configured key endpoints.
//! - No URL is ever built from a claim. Keys are cached by (URL, key id).
//! - Signatures are compared by the cryptographic library (`ring`), HMACs in constant time.
//! - Time is an argument.
//!
//! ```
//! use sockeye_hub::{
//!     UnixMillis,
//!     token::{TokenError, Verifier, VerifierConfig, sign_hs256},
//! };
//!
//! let verifier = Verifier::new(VerifierConfig {
//!     hmac_secret_key: Some("a long random secret".into()),
//!     ..VerifierConfig::default()
//! })?;
//! let token = sign_hs256(b"a long random secret", br#"{"sub":"42","exp":1800000000}"#)?;
//!
//! let claims = verifier.verify_connection(&token, UnixMillis(1_700_000_000_000))?;
//! assert_eq!(claims.user, "42");
//! assert_eq!(claims.expire_at, Some(UnixMillis(1_800_000_000_000)));
//!
//! let late = verifier.verify_connection(&token, UnixMillis(1_900_000_000_000));
//! assert_eq!(late, Err(TokenError::Expired));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod algorithm;
mod claim_parser;
mod claims;
mod compact_jws;
mod config;
mod error;
mod jwk;
mod key;
mod key_cache;
mod pem;
mod sign;
mod verifier;

pub use algorithm::Algorithm;
pub use claims::{
    ConnectionClaims, OptionOverride, RegisteredClaims, SubscriptionClaims, SubscriptionOptions,
};
pub use compact_jws::{TOKEN_BYTES_MAX, Unverified, decode_unverified};
pub use config::{JwksEndpoint, LEEWAY_DEFAULT, VerifierConfig};
pub use error::{ConfigError, TokenError};
pub use key_cache::{JwksSource, KeyCacheLimits};
pub use sign::sign_hs256;
pub use verifier::Verifier;
