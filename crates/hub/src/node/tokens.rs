//! What tokens say.

use super::{ClientView, NodeShared};
use crate::{
    Disconnect, ErrorCode,
    node::client::Failure,
    token::{ConnectionClaims, SubscriptionClaims, TokenError, Verifier},
};

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenFailure {
    /// A new one is needed.
    Expired,
    /// It isn't a token of this server.
    Invalid,
    /// It is for another channel, client or user.
    OfOthers,
    /// The keys can't be had now.
    Unavailable,
}

impl NodeShared {
    /// Returns what the token of a connect command says.
    pub(crate) async fn connection_claims(&self, token: &str) -> Result<ConnectionClaims, Failure> {
        Ok(self.verify_connection(token).await?)
    }

    pub(crate) async fn verify_connection(
        &self,
        token: &str,
    ) -> Result<ConnectionClaims, TokenFailure> {
        let verifier = self.verifier.as_ref().ok_or_else(|| self.no_keys())?;
        self.fetch_keys(verifier, token).await?;
        let claims = verifier.verify_connection(token, self.now());
        claims.map_err(|error| self.refused_token(OF_CONNECTIONS, &error))
    }

    /// Returns what the token of a subscribe command says.
    pub(crate) async fn subscription_claims(
        &self,
        token: &str,
        channel: &str,
        client: &ClientView,
    ) -> Result<SubscriptionClaims, Failure> {
        match self.verify_subscription(token, channel, client).await {
            Ok(claims) => Ok(claims),
            // The client keeps its other subscriptions.
            Err(TokenFailure::Invalid) => Err(ErrorCode::PermissionDenied.into()),
            Err(failure) => Err(failure.into()),
        }
    }

    pub(crate) async fn verify_subscription(
        &self,
        token: &str,
        channel: &str,
        client: &ClientView,
    ) -> Result<SubscriptionClaims, TokenFailure> {
        let verifier = self.subscription_verifier.as_ref();
        let verifier = verifier
            .or(self.verifier.as_ref())
            .ok_or_else(|| self.no_keys())?;
        self.fetch_keys(verifier, token).await?;
        let claims = verifier
            .verify_subscription(token, self.now())
            .map_err(|error| {
                let section = match self.subscription_verifier {
                    Some(_) => OF_SUBSCRIPTIONS,
                    None => OF_CONNECTIONS,
                };
                self.refused_token(section, &error)
            })?;
        let is_own = claims.channel == channel
            && claims.user == *client.user
            && claims
                .client
                .as_ref()
                .is_none_or(|other| **other == *client.client);
        match is_own {
            true => Ok(claims),
            false => {
                self.log_token_of_others();
                Err(TokenFailure::OfOthers)
            }
        }
    }

    fn no_keys(&self) -> TokenFailure {
        self.refused_token(
            OF_CONNECTIONS,
            &TokenError::invalid("there are no keys to check it with"),
        )
    }

    fn refused_token(&self, section: &str, error: &TokenError) -> TokenFailure {
        match error {
            TokenError::Expired => TokenFailure::Expired,
            error => {
                self.log_bad_token(section, error);
                TokenFailure::Invalid
            }
        }
    }

    async fn fetch_keys(&self, verifier: &Verifier, token: &str) -> Result<(), TokenFailure> {
        let fetched = verifier.fetch_keys(token, self.now()).await;
        fetched.map_err(|error| {
            tracing::warn!(%error, "keys for tokens could not be fetched");
            TokenFailure::Unavailable
        })
    }
}

/// The section of the configuration that has the keys of tokens.
const OF_CONNECTIONS: &str = "client.token";

/// That of tokens of subscriptions, where they have keys of their own.
const OF_SUBSCRIPTIONS: &str = "client.subscription_token";

impl From<TokenFailure> for Failure {
    fn from(failure: TokenFailure) -> Self {
        match failure {
            TokenFailure::Expired => ErrorCode::TokenExpired.into(),
            TokenFailure::Invalid | TokenFailure::OfOthers => Disconnect::INVALID_TOKEN.into(),
            TokenFailure::Unavailable => ErrorCode::Internal.into(),
        }
    }
}
