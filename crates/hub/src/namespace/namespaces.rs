//! All namespaces, and what a channel's name means.

use std::{collections::HashMap, time::Duration};

use super::{
    AllowedUsers, ChannelNames, ChannelOptions, ConfigError, PublicationDataFormat,
    ResolvedChannel, UnresolvedChannel, check,
};
use crate::pattern::Pattern;

/// The configuration of channels, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    /// How names are read.
    pub names: ChannelNames,
    /// How long a channel's offset and epoch outlive its last publication, where its namespace doesn't say. Default 720
    /// hours.
    pub history_meta_ttl: Duration,
    /// What a publication's data must be, where its namespace doesn't say. Default: anything but empty.
    pub publication_data_format: PublicationDataFormat,
    /// The options of channels whose name has no namespace. By default all is off.
    pub without_namespace: ChannelOptions,
    /// The namespaces. Default: none.
    pub namespaces: Vec<Namespace>,
}

/// Channels that have the same options. Their names begin with that of the namespace and the boundary, `chat:room`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Two or more letters, digits, `-`, `_` and `.`, all ASCII.
    pub name: String,
    /// The options.
    pub options: ChannelOptions,
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            names: ChannelNames::default(),
            history_meta_ttl: HISTORY_META_TTL,
            publication_data_format: PublicationDataFormat::default(),
            without_namespace: ChannelOptions::default(),
            namespaces: Vec::new(),
        }
    }
}

/// 720 hours, a month, as in Centrifugo. A client that was away for longer starts anew.
const HISTORY_META_TTL: Duration = Duration::from_secs(720 * 3600);

/// A checked [`ChannelConfig`], which says what the name of a channel means.
#[derive(Clone, Debug)]
pub struct Namespaces {
    names: ChannelNames,
    without_namespace: Entry,
    by_name: HashMap<String, Entry>,
    /// Whether any channel has a map that follows its subscriptions.
    has_following_maps: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    options: ChannelOptions,
    pattern: Option<Pattern>,
    history_meta_ttl: Duration,
    publication_data_format: PublicationDataFormat,
}

impl Namespaces {
    /// Checks a configuration.
    ///
    /// # Errors
    /// Two options can't both be, a pattern isn't a regular expression, or no channel could name a namespace.
    pub fn new(config: ChannelConfig) -> Result<Self, ConfigError> {
        check::check(&config)?;
        let entry = |namespace: &str, options: ChannelOptions| {
            let pattern = options.channel_regex.as_deref().map(Pattern::new);
            let refused = |reason| ConfigError::Pattern {
                namespace: namespace.to_owned(),
                reason,
            };
            Ok(Entry {
                pattern: pattern.transpose().map_err(refused)?,
                history_meta_ttl: options.history_meta_ttl.unwrap_or(config.history_meta_ttl),
                publication_data_format: options
                    .publication_data_format
                    .unwrap_or(config.publication_data_format),
                options,
            })
        };
        let without_namespace = entry("", config.without_namespace)?;
        let mut by_name = HashMap::with_capacity(config.namespaces.len());
        for Namespace { name, options } in config.namespaces {
            let entry = entry(&name, options)?;
            by_name.insert(name, entry);
        }
        let entries = by_name.values().chain([&without_namespace]);
        let has_following_maps = entries.map(|entry| &entry.options).any(|options| {
            options.map.remove_client_on_unsubscribe
                || !options.map_clients_presence_channel_prefix.is_empty()
                || !options.map_users_presence_channel_prefix.is_empty()
        });
        Ok(Self {
            names: config.names,
            without_namespace,
            by_name,
            has_following_maps,
        })
    }

    /// Returns what the name of a channel means that a client names.
    ///
    /// # Errors
    /// The name is empty or too long, its namespace is unknown, or it isn't what its namespace allows. They are told in
    /// this order.
    pub fn resolve<'a>(
        &'a self,
        channel: &'a str,
    ) -> Result<ResolvedChannel<'a>, UnresolvedChannel> {
        let resolved = self.resolve_trusted(channel)?;
        match &self.entry(resolved.namespace)?.pattern {
            Some(pattern) if !pattern.matches(resolved.rest) => {
                Err(UnresolvedChannel::PatternMismatch)
            }
            None if !channel.is_ascii() => Err(UnresolvedChannel::NotAscii),
            _ => Ok(resolved),
        }
    }

    /// Returns what the name of a channel means that a back end names, in a token or through the API. It can be anything
    /// in a known namespace that isn't empty or too long.
    ///
    /// # Errors
    /// The name is empty or too long, or its namespace is unknown.
    pub fn resolve_trusted<'a>(
        &'a self,
        channel: &'a str,
    ) -> Result<ResolvedChannel<'a>, UnresolvedChannel> {
        if channel.is_empty() {
            return Err(UnresolvedChannel::Empty);
        }
        if channel.len() > self.names.max_length {
            return Err(UnresolvedChannel::TooLong);
        }
        let (namespace, rest) = self.names.split(channel);
        let entry = self.entry(namespace)?;
        let users = match entry.options.allow_user_limited_channels {
            true => self.names.user_list(channel),
            false => None,
        };
        Ok(ResolvedChannel {
            options: &entry.options,
            namespace,
            rest,
            is_private: self.names.is_private(channel),
            users: users.map(|list| AllowedUsers {
                list,
                separator: &self.names.user_separator,
            }),
            history_meta_ttl: entry.history_meta_ttl,
            publication_data_format: entry.publication_data_format,
        })
    }

    /// Returns whether there is a namespace of that name. The empty name is that of channels without a namespace.
    #[must_use]
    pub fn contains(&self, namespace: &str) -> bool {
        self.entry(namespace).is_ok()
    }

    /// Returns the personal channel of `user` in a namespace (empty for none): `#ann`, or `personal:#ann`. `None` if a
    /// channel's name can't list this user alone: the user is empty, or contains a boundary or a separator, so that the
    /// name would admit others.
    #[must_use]
    pub fn personal_channel(&self, namespace: &str, user: &str) -> Option<String> {
        let boundary = match namespace {
            "" => "",
            _ => &self.names.namespace_boundary,
        };
        let user_boundary = &self.names.user_boundary;
        self.names
            .can_list(user)
            .then(|| format!("{namespace}{boundary}{user_boundary}{user}"))
    }

    /// Returns whether any channel has a map that follows its subscriptions.
    pub(crate) fn has_following_maps(&self) -> bool {
        self.has_following_maps
    }

    fn entry(&self, namespace: &str) -> Result<&Entry, UnresolvedChannel> {
        match namespace {
            "" => Ok(&self.without_namespace),
            name => self
                .by_name
                .get(name)
                .ok_or(UnresolvedChannel::UnknownNamespace),
        }
    }
}

#[cfg(test)]
mod tests;
