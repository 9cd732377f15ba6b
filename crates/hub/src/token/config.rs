//! What a verifier needs to know: keys, issuer, audience, leeway.

use std::{fmt, time::Duration};

use super::KeyCacheLimits;
use crate::UnixMillis;

/// Default of [`VerifierConfig::leeway`]: five seconds, for clocks that are set by NTP and differ a little.
pub const LEEWAY_DEFAULT: Duration = Duration::from_secs(5);

/// Most key endpoints of one verifier. Each holds a set of keys in memory.
pub(crate) const JWKS_ENDPOINTS_MAX: usize = 16;

/// The keys that tokens are verified with, and what else a token must say.
///
/// Without any key no token is valid. Several kinds of key may be configured at once; a token is verified with those
/// that its algorithm fits.
#[derive(Clone)]
pub struct VerifierConfig {
    /// The secret for HS256, HS384 and HS512. Default none.
    pub hmac_secret_key: Option<String>,
    /// The secret before the last change, which is accepted too. Default none.
    pub hmac_previous_secret_key: Option<String>,
    /// Until when the previous secret is accepted, inclusive. Default: as long as it is configured.
    pub hmac_previous_secret_key_valid_until: Option<UnixMillis>,
    /// The public key for RS256, RS384, RS512, PS256, PS384 and PS512: PEM, 2048 to 8192 bits. Default none.
    pub rsa_public_key: Option<String>,
    /// The public key for ES256 (on the curve P-256) or ES384 (P-384): PEM. Default none.
    pub ecdsa_public_key: Option<String>,
    /// The public key for EdDSA: PEM, Ed25519. Default none.
    pub ed25519_public_key: Option<String>,
    /// Where public keys are published. At most 16. Default none.
    pub jwks: Vec<JwksEndpoint>,
    /// Limits of the keys that come from [`VerifierConfig::jwks`].
    pub jwks_limits: KeyCacheLimits,
    /// The audience that a token must name in `aud`. Default: any or none.
    pub audience: Option<String>,
    /// A regular expression that one of the audiences in `aud` must match, somewhere unless it has anchors. Not together
    /// with [`VerifierConfig::audience`]. Default: none.
    pub audience_regex: Option<String>,
    /// The issuer that a token must name in `iss`. Default: any or none.
    pub issuer: Option<String>,
    /// A regular expression that `iss` must match, somewhere unless it has anchors. Not together with
    /// [`VerifierConfig::issuer`]. Default: none.
    pub issuer_regex: Option<String>,
    /// The claim that holds the user's id. Default `sub`, which must be a string; any other claim may be an integer too.
    pub user_id_claim: String,
    /// How far the clocks of application and server may differ: a token is valid this much before `nbf` and after
    /// `exp`. Default [`LEEWAY_DEFAULT`].
    pub leeway: Duration,
}

/// A place where an issuer publishes its public keys as a JSON Web Key Set (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksEndpoint {
    /// The URL, `https://` or `http://`. It is fixed: placeholders are refused.
    pub url: String,
    /// The issuer whose tokens are verified with these keys. `None`: tokens of any issuer.
    pub issuer: Option<String>,
}

impl Default for VerifierConfig {
    fn default() -> Self {
        Self {
            hmac_secret_key: None,
            hmac_previous_secret_key: None,
            hmac_previous_secret_key_valid_until: None,
            rsa_public_key: None,
            ecdsa_public_key: None,
            ed25519_public_key: None,
            jwks: Vec::new(),
            jwks_limits: KeyCacheLimits::default(),
            audience: None,
            audience_regex: None,
            issuer: None,
            issuer_regex: None,
            user_id_claim: "sub".to_owned(),
            leeway: LEEWAY_DEFAULT,
        }
    }
}

/// Shows everything but the secrets.
impl fmt::Debug for VerifierConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |secret: &Option<String>| secret.as_ref().map(|_| "..");
        f.debug_struct("VerifierConfig")
            .field("hmac_secret_key", &hidden(&self.hmac_secret_key))
            .field(
                "hmac_previous_secret_key",
                &hidden(&self.hmac_previous_secret_key),
            )
            .field(
                "hmac_previous_secret_key_valid_until",
                &self.hmac_previous_secret_key_valid_until,
            )
            .field("rsa_public_key", &self.rsa_public_key)
            .field("ecdsa_public_key", &self.ecdsa_public_key)
            .field("ed25519_public_key", &self.ed25519_public_key)
            .field("jwks", &self.jwks)
            .field("jwks_limits", &self.jwks_limits)
            .field("audience", &self.audience)
            .field("audience_regex", &self.audience_regex)
            .field("issuer", &self.issuer)
            .field("issuer_regex", &self.issuer_regex)
            .field("user_id_claim", &self.user_id_claim)
            .field("leeway", &self.leeway)
            .finish()
    }
}
