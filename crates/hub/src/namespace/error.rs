//! Errors of a configuration of channels.

use std::fmt;

/// An error of a configuration of channels. Its text is one line that names the options as the configuration does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// Two options exclude each other, or one needs the other.
    Together {
        /// The namespace; empty for channels without one.
        namespace: String,
        /// The first option.
        option: &'static str,
        /// The second.
        other: &'static str,
        /// What is wrong with the two.
        reason: &'static str,
    },
    /// A pattern is not a regular expression.
    Pattern {
        /// The namespace; empty for channels without one.
        namespace: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A namespace has a name that no channel could name.
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two namespaces have this name.
    Duplicate(String),
    /// Two settings of channel names exclude each other.
    Names {
        /// The first setting.
        option: &'static str,
        /// The second.
        other: &'static str,
        /// What is wrong with the two.
        reason: &'static str,
    },
}

impl ConfigError {
    /// Returns the namespace in which the error is; empty if it is in none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        match self {
            Self::Together { namespace, .. } | Self::Pattern { namespace, .. } => namespace,
            Self::Name { name, .. } | Self::Duplicate(name) => name,
            Self::Names { .. } => "",
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Together {
                namespace,
                option,
                other,
                reason,
            } => write!(f, "{}: {option} and {other}: {reason}", Place(namespace)),
            Self::Pattern { namespace, reason } => {
                write!(f, "{}: channel_regex: {reason}", Place(namespace))
            }
            Self::Name { name, reason } => write!(f, "channel.namespaces: name {name:?}: {reason}"),
            Self::Duplicate(name) => {
                write!(f, "channel.namespaces: name {name:?}: there are two of it")
            }
            Self::Names {
                option,
                other,
                reason,
            } => write!(f, "channel: {option} and {other}: {reason}"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Where options are, by their namespace.
struct Place<'a>(&'a str);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => f.write_str("channel.without_namespace"),
            name => write!(f, "channel.namespaces, {name}"),
        }
    }
}
