//! What a channel's name means.

use std::{fmt, time::Duration};

use super::{ChannelOptions, PublicationDataFormat};

/// What a channel's name means.
#[derive(Clone, Copy, Debug)]
pub struct ResolvedChannel<'a> {
    /// The options of its namespace.
    pub options: &'a ChannelOptions,
    /// Its namespace; empty without one.
    pub namespace: &'a str,
    /// The name behind the namespace. Without a namespace it is the whole name.
    pub rest: &'a str,
    /// Whether subscribing needs a token.
    pub is_private: bool,
    /// The users that its name admits, if it does so: `room#ann,bob` where `allow_user_limited_channels` is on.
    pub users: Option<AllowedUsers<'a>>,
    /// How long its offset and epoch outlive its last publication.
    pub history_meta_ttl: Duration,
    /// What a publication's data must be.
    pub publication_data_format: PublicationDataFormat,
}

impl ResolvedChannel<'_> {
    /// Returns whether the channel's name admits `user`: it lists the user, or it lists nobody. An anonymous client, whose
    /// user is empty, is on no list.
    #[must_use]
    pub fn allows_user(&self, user: &str) -> bool {
        self.users.is_none_or(|users| users.contains(user))
    }
}

/// The users that a channel's name admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedUsers<'a> {
    pub(super) list: &'a str,
    pub(super) separator: &'a str,
}

impl<'a> AllowedUsers<'a> {
    /// Returns whether `user` is one of them. The empty user never is.
    #[must_use]
    pub fn contains(&self, user: &str) -> bool {
        !user.is_empty() && self.iter().any(|listed| listed == user)
    }

    /// Returns them as the name has them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> {
        let Self { list, separator } = *self;
        // An empty separator would split between all characters.
        let whole = separator.is_empty().then_some(list);
        let parts = (!separator.is_empty()).then(|| list.split(separator));
        whole.into_iter().chain(parts.into_iter().flatten())
    }
}

/// Why a channel's name means nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnresolvedChannel {
    /// The name is empty.
    Empty,
    /// The name has more bytes than the limit.
    TooLong,
    /// The namespace has no pattern, and the name isn't ASCII.
    NotAscii,
    /// The namespace has a pattern, which the name doesn't match.
    PatternMismatch,
    /// There is no such namespace.
    UnknownNamespace,
}

impl UnresolvedChannel {
    /// Returns the error code of the protocol: 102 for an unknown namespace, 107 for a name that is not allowed.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::UnknownNamespace => 102,
            Self::Empty | Self::TooLong | Self::NotAscii | Self::PatternMismatch => 107,
        }
    }
}

impl fmt::Display for UnresolvedChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the channel's name is empty",
            Self::TooLong => "the channel's name is too long",
            Self::NotAscii => "the channel's name is not ASCII",
            Self::PatternMismatch => "the channel's name does not match its namespace's pattern",
            Self::UnknownNamespace => "the channel's namespace is unknown",
        })
    }
}

impl std::error::Error for UnresolvedChannel {}
