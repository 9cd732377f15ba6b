//! Errors of a token, and of the configuration of tokens.

use std::{borrow::Cow, fmt};

/// Why a token isn't accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// The token is malformed, signed with another key, or for somebody else. Another attempt with it gives the same
    /// answer. The reason is for the log and for the application's developer; it quotes nothing from an unverified token.
    Invalid(Cow<'static, str>),
    /// The token was signed with a key of ours, and its time is over or hasn't begun. A new token helps.
    Expired,
    /// The key endpoint doesn't answer, or was asked too short a time ago. Another attempt may succeed.
    KeysUnavailable(Cow<'static, str>),
}

impl TokenError {
    /// Returns [`TokenError::Invalid`] with a reason.
    pub(crate) fn invalid(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid(reason.into())
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(reason) => write!(f, "invalid token: {reason}"),
            Self::Expired => f.write_str("the token has expired or isn't valid yet"),
            Self::KeysUnavailable(reason) => write!(f, "the keys can't be had: {reason}"),
        }
    }
}

impl std::error::Error for TokenError {}

/// Why a configuration of tokens can't be used: which key of the configuration, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    key: &'static str,
    reason: String,
}

impl ConfigError {
    pub(crate) fn new(key: &'static str, reason: impl Into<String>) -> Self {
        Self {
            key,
            reason: reason.into(),
        }
    }

    /// Returns the name of the field of [`super::VerifierConfig`] that is wrong.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// Returns what is wrong with it.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.reason)
    }
}

impl std::error::Error for ConfigError {}
