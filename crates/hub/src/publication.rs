//! What is published to a channel, by whom, and its place in the channel's history.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use bytes::Bytes;

use crate::{RareBytes, UnixMillis};

/// One item published to a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publication {
    /// The payload.
    pub data: Bytes,
    /// The client that published it. `None` if a back end did.
    pub info: Option<Arc<ClientInfo>>,
    /// What filters look at, and receivers see.
    pub tags: Tags,
    /// The place in the channel's history, from 1. 0 if the channel has none, and before the broker has assigned it.
    pub offset: u64,
    /// When it was published. The publisher sets it.
    pub time: UnixMillis,
    /// The entry of a map that it sets or removes. `None` where the channel is no map.
    pub change: Option<Box<MapChange>>,
}

impl Publication {
    /// Bytes. What was published: data, tags and client.
    pub(crate) fn content_bytes(&self) -> usize {
        let tags = self.tags.iter();
        let tags: usize = tags.map(|(name, value)| name.len() + value.len()).sum();
        let info = self.info.as_ref().map_or(0, |info| {
            info.user.len() + info.client.len() + info.conn_info.len() + info.chan_info.len()
        });
        self.data.len() + tags + info
    }

    /// Returns the bytes that the publication takes in an answer, about.
    pub(crate) fn answer_bytes(&self) -> usize {
        let tags: usize = self
            .tags
            .iter()
            .map(|(name, value)| name.len() + value.len() + 6)
            .sum();
        let info = self.info.as_deref().map_or(0, ClientInfo::answer_bytes);
        ANSWER_BYTES_MIN + self.data.len() + tags + info
    }
}

impl ClientInfo {
    /// Returns the bytes that the information takes in an answer, about.
    pub(crate) fn answer_bytes(&self) -> usize {
        let fields = self.user.len() + self.client.len();
        ANSWER_BYTES_MIN + fields + self.conn_info.len() + self.chan_info.len()
    }
}

/// Bytes. What an item of an answer takes beside its texts, while it is made: names of fields, numbers, and the structure that
/// is encoded.
const ANSWER_BYTES_MIN: usize = 128;

/// What a publication does to a map.
#[derive(Clone, Debug, Default)]
pub struct MapChange {
    /// The entry's key.
    pub key: Arc<str>,
    /// The entry is removed. The publication has no data then.
    pub removed: bool,
    /// The publication that set the entry before, which the next one's difference is from. Gone as soon as the map doesn't
    /// hold it, and unknown after a restart.
    pub(crate) previous: Weak<Publication>,
}

impl MapChange {
    /// Creates the change that sets an entry.
    #[must_use]
    pub fn set(key: &str) -> Self {
        Self {
            key: key.into(),
            ..Self::default()
        }
    }

    /// Creates the change that removes an entry.
    #[must_use]
    pub fn remove(key: &str) -> Self {
        Self {
            removed: true,
            ..Self::set(key)
        }
    }
}

impl PartialEq for MapChange {
    /// What was there before doesn't count.
    fn eq(&self, other: &Self) -> bool {
        (&self.key, self.removed) == (&other.key, other.removed)
    }
}

impl Eq for MapChange {}

/// What others may know about a client.
///
/// A history keeps it with the client's publications, so its bytes should be its own, not a slice of a larger buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// The user. Empty if the client is anonymous.
    pub user: Arc<str>,
    /// The client's id, unique among all connections.
    pub client: Arc<str>,
    /// What the connection's token or the application says about the client. May be empty.
    pub conn_info: RareBytes,
    /// What the subscription's token or the application says about the client in this channel. May be empty.
    pub chan_info: RareBytes,
}

/// The tags of a publication: names with values, in the order of their names. A clone shares them; no tags cost nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tags(
    /// Sorted by name, each name once. `None` if there are none.
    Option<Arc<[Tag]>>,
);

#[derive(PartialEq, Eq)]
struct Tag {
    name: Box<str>,
    value: Box<str>,
}

impl Tags {
    /// Returns the value of the tag `name`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let tags = self.0.as_deref()?;
        let at = tags.binary_search_by(|tag| (*tag.name).cmp(name)).ok()?;
        Some(&tags[at].value)
    }

    /// Returns the names with their values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let tags = self.0.as_deref().unwrap_or_default();
        tags.iter().map(|tag| (&*tag.name, &*tag.value))
    }

    /// Returns the number of tags.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_deref().map_or(0, <[_]>::len)
    }

    /// Returns whether there are no tags.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl<K: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(K, V)> for Tags {
    /// Collects tags. Of several with one name the last stays.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(tags: I) -> Self {
        let tags = tags.into_iter().map(|(name, value)| Tag {
            name: name.into(),
            value: value.into(),
        });
        let mut tags: Vec<Tag> = tags.collect();
        // The sort is stable: of those with one name the last comes last, and is moved into the first one's place.
        tags.sort_by(|one, other| one.name.cmp(&other.name));
        tags.dedup_by(|later, kept| {
            let is_same = later.name == kept.name;
            if is_same {
                std::mem::swap(later, kept);
            }
            is_same
        });
        Self((!tags.is_empty()).then(|| tags.into()))
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A place in the history of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamPosition {
    /// The offset of the publication at this place. 0: before the first.
    pub offset: u64,
    /// The history that the offset belongs to.
    pub epoch: Epoch,
}

impl StreamPosition {
    /// Returns whether this is the place before the first publication of a history that has no epoch yet.
    pub(crate) fn is_unknown(&self) -> bool {
        self.offset == 0 && self.epoch.is_empty()
    }
}

/// The identity of a channel's history. Another epoch means that the offsets have begun anew, and that publications may
/// have been lost. Compared by value, cheap to clone, and opaque to clients.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Epoch(
    /// Never empty. `None` for the empty epoch.
    Option<Arc<str>>,
);

impl Epoch {
    /// Creates an epoch. The empty one allocates nothing.
    #[must_use]
    pub fn new(epoch: &str) -> Self {
        Self((!epoch.is_empty()).then(|| epoch.into()))
    }

    /// Returns the text of the epoch.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// Returns whether this is the empty epoch: that of a client which knows none, and of a channel without history.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl From<&str> for Epoch {
    fn from(epoch: &str) -> Self {
        Self::new(epoch)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_by_name_and_listed_in_order() {
        let tags: Tags = [("b", "2"), ("a", "1"), ("c", "")].into_iter().collect();
        assert_eq!(tags.value("a"), Some("1"));
        assert_eq!(tags.value("c"), Some(""));
        assert_eq!(tags.value("d"), None);
        let listed: Vec<_> = tags.iter().collect();
        assert_eq!(listed, [("a", "1"), ("b", "2"), ("c", "")]);
        assert_eq!(tags.len(), 3);
    }

    #[test]
    fn of_tags_with_one_name_the_last_stays() {
        let tags: Tags = [("a", "1"), ("b", "2"), ("a", "3"), ("a", "4")]
            .into_iter()
            .collect();
        let listed: Vec<_> = tags.iter().collect();
        assert_eq!(listed, [("a", "4"), ("b", "2")]);
    }

    #[test]
    fn no_tags_are_the_default() {
        let tags: Tags = std::iter::empty::<(&str, &str)>().collect();
        assert_eq!(tags, Tags::default());
        assert!(tags.is_empty());
        assert_eq!(tags.value(""), None);
    }

    #[test]
    fn epochs_are_compared_by_value() {
        assert_eq!(Epoch::new("x"), Epoch::new("x"));
        assert_ne!(Epoch::new("x"), Epoch::new("y"));
        assert_eq!(Epoch::new(""), Epoch::default());
        assert!(Epoch::new("").is_empty());
    }
}
