//! The verifier: a token and the time in, claims out.

use std::{fmt, sync::Arc};

use super::{
    Algorithm, ConfigError, ConnectionClaims, JwksSource, RegisteredClaims, SubscriptionClaims,
    TokenError, VerifierConfig,
    claim_parser::ClaimParser,
    compact_jws::{CompactJws, Header},
    config::JWKS_ENDPOINTS_MAX,
    key::{HmacSecret, PublicKey},
    key_cache::KeyCache,
    pem,
};
use crate::{UnixMillis, pattern::Pattern};

/// Verifies tokens.
///
/// It is immutable but for the keys that come from [`VerifierConfig::jwks`]; make another one when the configuration
/// changes, and let what runs finish with the old one.
///
/// With such endpoints call [`Verifier::fetch_keys`] before `verify_…`; without them it does nothing.
pub struct Verifier {
    secrets: Vec<Secret>,
    public_keys: Vec<PublicKey>,
    key_cache: Option<KeyCache>,
    audience: Option<Expected>,
    issuer: Option<Expected>,
    user_id_claim: String,
    leeway_ms: u64,
}

/// What an issuer or an audience must be.
enum Expected {
    Text(String),
    Match(Pattern),
}

/// A configured secret.
struct Secret {
    key: HmacSecret,
    /// The last moment at which it is accepted. `None`: always.
    valid_until: Option<UnixMillis>,
}

impl Verifier {
    /// Creates a verifier that has no key endpoints.
    ///
    /// # Errors
    ///
    /// Says which field of the configuration can't be used, and why. [`VerifierConfig::jwks`] needs
    /// [`Verifier::with_jwks_source`].
    pub fn new(config: VerifierConfig) -> Result<Self, ConfigError> {
        if !config.jwks.is_empty() {
            return Err(ConfigError::new(
                "jwks",
                "needs something that fetches: Verifier::with_jwks_source",
            ));
        }
        Self::build(config, None)
    }

    /// Creates a verifier that fetches keys from [`VerifierConfig::jwks`] through `source`.
    ///
    /// # Errors
    ///
    /// Says which field of the configuration can't be used, and why.
    pub fn with_jwks_source(
        config: VerifierConfig,
        source: Arc<dyn JwksSource>,
    ) -> Result<Self, ConfigError> {
        Self::build(config, Some(source))
    }

    fn build(
        config: VerifierConfig,
        source: Option<Arc<dyn JwksSource>>,
    ) -> Result<Self, ConfigError> {
        check_endpoints(&config)?;
        if config.user_id_claim.is_empty() {
            return Err(ConfigError::new("user_id_claim", "is empty"));
        }
        let secrets = secrets(&config)?;
        let public_keys = public_keys(&config)?;
        let audience = expected("audience_regex", &config.audience, &config.audience_regex)?;
        let issuer = expected("issuer_regex", &config.issuer, &config.issuer_regex)?;
        let key_cache = source
            .filter(|_| !config.jwks.is_empty())
            .map(|source| KeyCache::new(config.jwks, config.jwks_limits, source));
        Ok(Self {
            secrets,
            public_keys,
            key_cache,
            audience,
            issuer,
            user_id_claim: config.user_id_claim,
            leeway_ms: u64::try_from(config.leeway.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Returns whether any token can be valid: there is a key, or a place where keys are published.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        !self.secrets.is_empty() || !self.public_keys.is_empty() || self.key_cache.is_some()
    }

    /// Verifies a connection token.
    ///
    /// # Errors
    ///
    /// [`TokenError::Invalid`] or [`TokenError::Expired`]. The second needs a valid signature.
    pub fn verify_connection(
        &self,
        token: &str,
        now: UnixMillis,
    ) -> Result<ConnectionClaims, TokenError> {
        let json = self.verify_signature(token, now)?;
        let claims = ClaimParser::new(&json)?;
        let registered = self.check_registered(&claims)?;
        let user = self.user(&claims)?;
        let connection = ConnectionClaims::from_claims(&claims, user, registered)?;
        self.check_times(&claims, now)?;
        Ok(connection)
    }

    /// Verifies a subscription token. That it is for this client, user and channel is for the caller to check.
    ///
    /// # Errors
    ///
    /// [`TokenError::Invalid`] or [`TokenError::Expired`]. The second needs a valid signature.
    pub fn verify_subscription(
        &self,
        token: &str,
        now: UnixMillis,
    ) -> Result<SubscriptionClaims, TokenError> {
        let json = self.verify_signature(token, now)?;
        let claims = ClaimParser::new(&json)?;
        let registered = self.check_registered(&claims)?;
        let user = self.user(&claims)?;
        let subscription = SubscriptionClaims::from_claims(&claims, user, registered)?;
        self.check_times(&claims, now)?;
        Ok(subscription)
    }

    /// Fetches the key that a token names, if it isn't there. Returns at once if no endpoint is configured, the key is
    /// known, or the token can't be valid. After `Ok` the verdict of `verify_…` is final.
    ///
    /// However many tokens name unknown keys, an endpoint is asked once per [`super::KeyCacheLimits::interval_min`], and
    /// all who wait share the request.
    ///
    /// # Errors
    ///
    /// [`TokenError::KeysUnavailable`]: the client should try again later.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with time, if a request is due.
    ///
    /// # Cancel safety
    ///
    /// A request that has begun goes on, and its answer is there for the next call.
    pub async fn fetch_keys(&self, token: &str, now: UnixMillis) -> Result<(), TokenError> {
        let Some(key_cache) = &self.key_cache else {
            return Ok(());
        };
        // What is wrong with it, `verify_…` says.
        let Ok(jws) = CompactJws::split(token) else {
            return Ok(());
        };
        let Ok(Header {
            algorithm,
            key_id: Some(key_id),
        }) = Header::parse(&jws.header)
        else {
            return Ok(());
        };
        // A secret isn't published, and a configured key that has signed it needs no other.
        if algorithm.is_hmac()
            || matches!(self.verify_by_public_key(&jws, algorithm), Verdict::Signed)
        {
            return Ok(());
        }
        let issuer = unverified_issuer(key_cache, &jws.claims);
        key_cache.fetch(&key_id, issuer.as_deref(), now).await
    }

    /// Returns the claims of a token that one of the keys has signed.
    fn verify_signature(&self, token: &str, now: UnixMillis) -> Result<Vec<u8>, TokenError> {
        let jws = CompactJws::split(token)?;
        let header = Header::parse(&jws.header)?;
        let verdict = if header.algorithm.is_hmac() {
            self.verify_by_secret(&jws, header.algorithm, now)
        } else {
            match self.verify_by_public_key(&jws, header.algorithm) {
                Verdict::Signed => Verdict::Signed,
                verdict => verdict.or(self.verify_by_published_key(&jws, &header, now)),
            }
        };
        match verdict {
            Verdict::Signed => Ok(jws.claims),
            Verdict::WrongSignature => Err(TokenError::invalid("the signature is wrong")),
            Verdict::NoKey => Err(self.no_key(&header)),
        }
    }

    fn verify_by_secret(
        &self,
        jws: &CompactJws<'_>,
        algorithm: Algorithm,
        now: UnixMillis,
    ) -> Verdict {
        self.secrets
            .iter()
            .filter(|secret| secret.valid_until.is_none_or(|last| now <= last))
            .map(|secret| secret.key.verify(algorithm, jws.signed, &jws.signature))
            .fold(Verdict::NoKey, Verdict::with)
    }

    fn verify_by_public_key(&self, jws: &CompactJws<'_>, algorithm: Algorithm) -> Verdict {
        self.public_keys
            .iter()
            .filter(|key| key.accepts(algorithm))
            .map(|key| key.verify(algorithm, jws.signed, &jws.signature))
            .fold(Verdict::NoKey, Verdict::with)
    }

    fn verify_by_published_key(
        &self,
        jws: &CompactJws<'_>,
        header: &Header,
        now: UnixMillis,
    ) -> Verdict {
        let (Some(key_cache), Some(key_id)) = (&self.key_cache, &header.key_id) else {
            return Verdict::NoKey;
        };
        let issuer = unverified_issuer(key_cache, &jws.claims);
        let keys = key_cache.sets(issuer.as_deref(), now);
        keys.iter()
            .filter(|keys| keys.has(key_id))
            .map(|keys| {
                keys.matching(key_id, header.algorithm)
                    .any(|key| key.verify(header.algorithm, jws.signed, &jws.signature))
            })
            .fold(Verdict::NoKey, Verdict::with)
    }

    fn no_key(&self, header: &Header) -> TokenError {
        let may_be_published = self.key_cache.is_some() && !header.algorithm.is_hmac();
        TokenError::Invalid(match &header.key_id {
            Some(_) if may_be_published => "its key (`kid`) isn't known".into(),
            None if may_be_published => "it names no key (`kid`)".into(),
            _ => format!("no key for {} is configured", header.algorithm.name()).into(),
        })
    }

    fn check_registered(&self, claims: &ClaimParser<'_>) -> Result<RegisteredClaims, TokenError> {
        let registered = RegisteredClaims::from_claims(claims)?;
        if let Some(expected) = &self.issuer
            && !registered
                .issuer
                .as_deref()
                .is_some_and(|issuer| expected.is(issuer))
        {
            return Err(TokenError::invalid("it is from another issuer (`iss`)"));
        }
        if let Some(expected) = &self.audience
            && !registered
                .audience
                .iter()
                .any(|audience| expected.is(audience))
        {
            return Err(TokenError::invalid("it is for another audience (`aud`)"));
        }
        Ok(registered)
    }

    fn user(&self, claims: &ClaimParser<'_>) -> Result<String, TokenError> {
        // Of the right type in any case.
        let subject = claims.string("sub")?;
        let user = match self.user_id_claim.as_str() {
            "sub" => subject,
            name => claims.string_or_integer(name)?,
        };
        Ok(user.unwrap_or_default())
    }

    /// RFC 7519, sections 4.1.4 and 4.1.5: `exp` is the first moment at which a token isn't valid, `nbf` the first at
    /// which it is.
    fn check_times(&self, claims: &ClaimParser<'_>, now: UnixMillis) -> Result<(), TokenError> {
        let is_over = claims
            .date("exp")?
            .is_some_and(|end| now.0 >= end.0.saturating_add(self.leeway_ms));
        let is_early = claims
            .date("nbf")?
            .is_some_and(|start| now.0.saturating_add(self.leeway_ms) < start.0);
        if is_over || is_early {
            return Err(TokenError::Expired);
        }
        Ok(())
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

/// What a list of keys says about a signature.
enum Verdict {
    Signed,
    /// There are keys for this, and none has signed it.
    WrongSignature,
    NoKey,
}

impl Verdict {
    fn with(self, is_signed: bool) -> Self {
        self.or(if is_signed {
            Self::Signed
        } else {
            Self::WrongSignature
        })
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Signed, _) | (_, Self::Signed) => Self::Signed,
            (Self::WrongSignature, _) | (_, Self::WrongSignature) => Self::WrongSignature,
            (Self::NoKey, Self::NoKey) => Self::NoKey,
        }
    }
}

/// Returns the issuer that the token claims, if that decides which endpoint is asked.
fn unverified_issuer(key_cache: &KeyCache, claims: &[u8]) -> Option<String> {
    if !key_cache.depends_on_issuer() {
        return None;
    }
    ClaimParser::new(claims).ok()?.string("iss").ok()?
}

impl Expected {
    fn is(&self, text: &str) -> bool {
        match self {
            Self::Text(expected) => text == expected,
            Self::Match(pattern) => pattern.matches(text),
        }
    }
}

fn expected(
    name: &'static str,
    text: &Option<String>,
    regex: &Option<String>,
) -> Result<Option<Expected>, ConfigError> {
    match (text, regex) {
        (Some(_), Some(_)) => Err(ConfigError::new(
            name,
            "is there together with its form without _regex",
        )),
        (Some(text), None) => Ok(Some(Expected::Text(text.clone()))),
        (None, Some(regex)) => Pattern::new(regex)
            .map(|pattern| Some(Expected::Match(pattern)))
            .map_err(|reason| ConfigError::new(name, reason)),
        (None, None) => Ok(None),
    }
}

fn secrets(config: &VerifierConfig) -> Result<Vec<Secret>, ConfigError> {
    let configured = [
        ("hmac_secret_key", &config.hmac_secret_key, None),
        (
            "hmac_previous_secret_key",
            &config.hmac_previous_secret_key,
            config.hmac_previous_secret_key_valid_until,
        ),
    ];
    let mut secrets = Vec::new();
    for (name, secret, valid_until) in configured {
        if let Some(secret) = secret {
            secrets.push(Secret {
                key: hmac_secret(name, secret)?,
                valid_until,
            });
        }
    }
    Ok(secrets)
}

fn public_keys(config: &VerifierConfig) -> Result<Vec<PublicKey>, ConfigError> {
    let configured = [
        ("rsa_public_key", &config.rsa_public_key, "RSA"),
        ("ecdsa_public_key", &config.ecdsa_public_key, "ECDSA"),
        ("ed25519_public_key", &config.ed25519_public_key, "Ed25519"),
    ];
    let mut keys = Vec::new();
    for (name, text, kind) in configured {
        if let Some(text) = text {
            let key = pem::public_key(text).map_err(|reason| ConfigError::new(name, reason))?;
            if key.kind() != kind {
                return Err(ConfigError::new(
                    name,
                    format!("is a key for {}, not for {kind}", key.kind()),
                ));
            }
            keys.push(key);
        }
    }
    Ok(keys)
}

fn hmac_secret(name: &'static str, secret: &str) -> Result<HmacSecret, ConfigError> {
    if secret.is_empty() {
        return Err(ConfigError::new(name, "is empty"));
    }
    // Everybody may know a public key. As a secret it would let everybody sign.
    if secret.contains("-----BEGIN ") {
        return Err(ConfigError::new(
            name,
            "is a key in PEM; a secret shared with the application belongs here",
        ));
    }
    Ok(HmacSecret::new(secret.as_bytes()))
}

fn check_endpoints(config: &VerifierConfig) -> Result<(), ConfigError> {
    if config.jwks.len() > JWKS_ENDPOINTS_MAX {
        return Err(ConfigError::new(
            "jwks",
            format!("has more than {JWKS_ENDPOINTS_MAX} endpoints"),
        ));
    }
    for endpoint in &config.jwks {
        let url = &endpoint.url;
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(ConfigError::new(
                "jwks",
                format!("{url:?} doesn't begin with https:// or http://"),
            ));
        }
        if url.contains(['{', '}']) {
            return Err(ConfigError::new(
                "jwks",
                format!(
                    "{url:?} has a placeholder; URLs are fixed, because claims aren't verified when keys are fetched; list one endpoint per issuer"
                ),
            ));
        }
    }
    if config.jwks_limits.interval_min > config.jwks_limits.time_to_live {
        return Err(ConfigError::new(
            "jwks_limits",
            "interval_min is longer than time_to_live",
        ));
    }
    Ok(())
}
