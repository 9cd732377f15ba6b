//! The parts of a channel's name.

/// What separates the parts of a channel's name. An empty text switches its part off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelNames {
    /// Most bytes of a name. Default 255.
    pub max_length: usize,
    /// What a name begins with whose subscribers need a token. Default `$`.
    pub private_prefix: String,
    /// What stands between the namespace and the rest. Default `:`.
    pub namespace_boundary: String,
    /// What stands before the users that a name admits. Default `#`.
    pub user_boundary: String,
    /// What stands between two of them. Default `,`.
    pub user_separator: String,
}

impl Default for ChannelNames {
    fn default() -> Self {
        Self {
            max_length: 255,
            private_prefix: "$".to_owned(),
            namespace_boundary: ":".to_owned(),
            user_boundary: "#".to_owned(),
            user_separator: ",".to_owned(),
        }
    }
}

impl ChannelNames {
    /// Splits a name into its namespace and the rest. A name without a namespace is all rest, its prefix included.
    pub(super) fn split<'a>(&self, channel: &'a str) -> (&'a str, &'a str) {
        let public = channel
            .strip_prefix(self.private_prefix.as_str())
            .unwrap_or(channel);
        if self.namespace_boundary.is_empty() {
            return ("", channel);
        }
        public
            .split_once(self.namespace_boundary.as_str())
            .unwrap_or(("", channel))
    }

    pub(super) fn is_private(&self, channel: &str) -> bool {
        !self.private_prefix.is_empty() && channel.starts_with(self.private_prefix.as_str())
    }

    /// Returns the users that the name lists, as text: what stands behind the last boundary.
    pub(super) fn user_list<'a>(&self, channel: &'a str) -> Option<&'a str> {
        if self.user_boundary.is_empty() {
            return None;
        }
        let (_, list) = channel.rsplit_once(self.user_boundary.as_str())?;
        Some(list)
    }

    /// Returns whether a name can list `user`, and no other user by it.
    pub(super) fn can_list(&self, user: &str) -> bool {
        let splits =
            |text: &String, separator: &str| !separator.is_empty() && text.contains(separator);
        let user = &user.to_owned();
        !user.is_empty()
            && !self.user_boundary.is_empty()
            && !splits(user, &self.user_boundary)
            && !splits(user, &self.user_separator)
    }
}
