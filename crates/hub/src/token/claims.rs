//! What a valid token says.

use bytes::Bytes;

use super::{TokenError, claim_parser::ClaimParser};
use crate::UnixMillis;

/// The claims of a connection token: who a client is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionClaims {
    /// The user's id (`sub`, or the configured claim). Empty if the token names nobody: an anonymous client.
    pub user: String,
    /// When the connection ends unless it is refreshed (`expire_at`, else `exp`). `None`: never. It may be up to
    /// [`super::VerifierConfig::leeway`] in the past.
    pub expire_at: Option<UnixMillis>,
    /// What other clients see about this one (`info`, or the bytes in `b64info`).
    pub info: Option<Bytes>,
    /// What the application keeps with the connection and no client sees (`meta`).
    pub meta: Option<Bytes>,
    /// The channels that the client is subscribed to by the server (`subs`; if it is absent or empty, `channels`).
    /// Each channel is there once.
    pub subs: Vec<(String, SubscriptionOptions)>,
    /// The claims that every token may have.
    pub registered: RegisteredClaims,
}

/// The claims of a subscription token: that one user, or one client of it, may subscribe to one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionClaims {
    /// The user's id (`sub`, or the configured claim), which must be the connection's. Empty for an anonymous client.
    pub user: String,
    /// The client that may use the token (`client`). `None`: any client of the user.
    pub client: Option<String>,
    /// The channel (`channel`). Never empty.
    pub channel: String,
    /// When the subscription ends unless it is refreshed (`expire_at`, else `exp`). `None`: never. It may be up to
    /// [`super::VerifierConfig::leeway`] in the past.
    pub expire_at: Option<UnixMillis>,
    /// How the subscription differs from what the channel's namespace says.
    pub options: SubscriptionOptions,
    /// The claims that every token may have.
    pub registered: RegisteredClaims,
}

/// What a token says about a subscription.
///
/// Payloads from `info` and `data` are JSON as the application wrote it, on one line. Payloads from `b64info` and
/// `b64data`, which win, are any bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// What other subscribers see about this client in this channel (`info`, `b64info`).
    pub info: Option<Bytes>,
    /// What the client is told when it is subscribed (`data`, `b64data`).
    pub data: Option<Bytes>,
    /// Options of the namespace that are set for this subscription (`override`).
    pub overrides: OptionOverride,
}

/// Options of the namespace that a token sets for one subscription. `None` leaves the namespace's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OptionOverride {
    /// Whether the client is in the channel's presence.
    pub presence: Option<bool>,
    /// Whether others are told that the client joins and leaves.
    pub join_leave: Option<bool>,
    /// Whether the client is told who joins and leaves, though it hasn't asked.
    pub force_push_join_leave: Option<bool>,
    /// Whether the subscription is recovered after a reconnect, though the client hasn't asked.
    pub force_recovery: Option<bool>,
    /// Whether the server checks that nothing was lost, though the client hasn't asked.
    pub force_positioning: Option<bool>,
}

/// The registered claims of RFC 7519, section 4.1, that aren't told elsewhere. `exp` and `nbf` have been checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegisteredClaims {
    /// The token's id (`jti`).
    pub id: Option<String>,
    /// Who issued it (`iss`).
    pub issuer: Option<String>,
    /// For whom it is (`aud`).
    pub audience: Vec<String>,
    /// When it was issued (`iat`). Not checked: a token that was issued in the future is valid, as RFC 7519 has it;
    /// `nbf` is the claim for that.
    pub issued_at: Option<UnixMillis>,
}

impl ConnectionClaims {
    pub(crate) fn from_claims(
        claims: &ClaimParser<'_>,
        user: String,
        registered: RegisteredClaims,
    ) -> Result<Self, TokenError> {
        // A subscription token isn't an identity: without this it would open a connection.
        if claims
            .string("channel")?
            .is_some_and(|channel| !channel.is_empty())
        {
            return Err(TokenError::invalid(
                "it is a subscription token (it has the claim `channel`)",
            ));
        }
        Ok(Self {
            user,
            expire_at: expire_at(claims)?,
            info: payload(claims, "info", "b64info")?,
            meta: claims.json("meta")?,
            subs: subs(claims)?,
            registered,
        })
    }
}

impl SubscriptionClaims {
    pub(crate) fn from_claims(
        claims: &ClaimParser<'_>,
        user: String,
        registered: RegisteredClaims,
    ) -> Result<Self, TokenError> {
        let channel = claims.string("channel")?.unwrap_or_default();
        if channel.is_empty() {
            return Err(TokenError::invalid("it has no claim `channel`"));
        }
        Ok(Self {
            user,
            client: claims.string("client")?.filter(|client| !client.is_empty()),
            channel,
            expire_at: expire_at(claims)?,
            options: SubscriptionOptions::from_claims(claims)?,
            registered,
        })
    }
}

impl SubscriptionOptions {
    fn from_claims(claims: &ClaimParser<'_>) -> Result<Self, TokenError> {
        Ok(Self {
            info: payload(claims, "info", "b64info")?,
            data: payload(claims, "data", "b64data")?,
            overrides: match claims.object("override")? {
                Some(overrides) => OptionOverride::from_claims(&overrides)?,
                None => OptionOverride::default(),
            },
        })
    }
}

impl OptionOverride {
    fn from_claims(claims: &ClaimParser<'_>) -> Result<Self, TokenError> {
        // Each is an object, so that absent and false differ: {"value": true}. An object without it means false.
        let option = |name| match claims.object(name)? {
            Some(option) => Ok(Some(option.boolean("value")?.unwrap_or(false))),
            None => Ok(None),
        };
        Ok(Self {
            presence: option("presence")?,
            join_leave: option("join_leave")?,
            force_push_join_leave: option("force_push_join_leave")?,
            force_recovery: option("force_recovery")?,
            force_positioning: option("force_positioning")?,
        })
    }
}

impl RegisteredClaims {
    pub(crate) fn from_claims(claims: &ClaimParser<'_>) -> Result<Self, TokenError> {
        Ok(Self {
            id: claims.string("jti")?,
            issuer: claims.string("iss")?,
            audience: claims.string_or_strings("aud")?,
            issued_at: claims.date("iat")?,
        })
    }
}

/// Seconds in `expire_at` win over `exp`; zero and less mean never.
fn expire_at(claims: &ClaimParser<'_>) -> Result<Option<UnixMillis>, TokenError> {
    match claims.integer("expire_at")? {
        Some(seconds) => Ok(u64::try_from(seconds)
            .ok()
            .filter(|&seconds| seconds > 0)
            .map(|seconds| UnixMillis(seconds.saturating_mul(1000)))),
        None => claims.date("exp"),
    }
}

fn payload(
    claims: &ClaimParser<'_>,
    json: &'static str,
    base64: &'static str,
) -> Result<Option<Bytes>, TokenError> {
    match claims.base64(base64)? {
        Some(bytes) => Ok(Some(bytes)),
        None => claims.json(json),
    }
}

fn subs(claims: &ClaimParser<'_>) -> Result<Vec<(String, SubscriptionOptions)>, TokenError> {
    let channels = claims.strings("channels")?;
    if let Some(subs) = claims.object("subs")?
        && !subs.is_empty()
    {
        return subs
            .objects()?
            .into_iter()
            .map(|(channel, options)| Ok((channel, SubscriptionOptions::from_claims(&options)?)))
            .collect();
    }
    let mut known = std::collections::HashSet::new();
    Ok(channels
        .into_iter()
        .filter(|channel| known.insert(channel.clone()))
        .map(|channel| (channel, SubscriptionOptions::default()))
        .collect())
}
