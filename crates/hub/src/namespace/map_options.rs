//! The options of maps.

use std::time::Duration;

use super::options::{Membership, Rights};

/// What the subscriptions to a channel are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubscriptionType {
    /// Each publication stands for itself.
    #[default]
    Stream,
    /// The channel is a map: publications set and remove its entries.
    Map,
    /// A map of the clients that are subscribed to another channel. The server keeps it.
    MapClients,
    /// A map of the users that are subscribed to another channel. The server keeps it.
    MapUsers,
}

impl SubscriptionType {
    /// Returns whether the channel is a map.
    #[must_use]
    pub fn is_map(self) -> bool {
        self != Self::Stream
    }

    /// Returns the number by which clients ask for it.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::Stream => 0,
            Self::Map => 1,
            Self::MapClients => 2,
            Self::MapUsers => 3,
        }
    }
}

/// Which changes of a map are kept, and for how long entries stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapMode {
    /// Entries expire, and no change is kept: a client that comes back reads all entries.
    Ephemeral,
    /// Entries expire, and changes are kept: a client that comes back is told what it missed.
    Recoverable,
    /// Entries stay until they are removed, and changes are kept.
    Persistent,
}

impl MapMode {
    /// Returns whether changes are kept.
    #[must_use]
    pub fn has_stream(self) -> bool {
        self != Self::Ephemeral
    }

    /// Returns whether entries expire.
    #[must_use]
    pub fn has_expiry(self) -> bool {
        self != Self::Persistent
    }
}

/// What the key of an entry that a client sets is, whatever the client says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKeySource {
    /// The id of its connection.
    ClientId,
    /// Its user. Anonymous clients can't set entries.
    UserId,
}

/// The options of the maps in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapOptions {
    /// Which changes are kept. Required where channels are maps; `None` is the default.
    pub mode: Option<MapMode>,
    /// How long an entry stays after it was set. Needed where the mode has expiry, and 0 elsewhere, which is the default.
    pub key_ttl: Duration,
    /// Most changes kept for each map, where the mode keeps them. Default 100.
    pub stream_size: usize,
    /// How long changes are kept after the last one. Default 60 s.
    pub stream_ttl: Duration,
    /// How long offset and epoch outlive the last change, in recoverable maps. At least `stream_ttl` and `key_ttl`. Default:
    /// ten times `stream_ttl`, but at least `key_ttl`. Those of persistent maps stay.
    pub meta_ttl: Option<Duration>,
    /// Removes the entry whose key is the client's id when the client unsubscribes or goes. Default off.
    pub remove_client_on_unsubscribe: bool,
    /// What the keys of clients' entries are. Default: what the client says.
    pub client_key: Option<ClientKeySource>,
    /// Clients with a user can set entries. Default off.
    pub allow_publish_for_client: bool,
    /// Subscribers with a user can. Default off.
    pub allow_publish_for_subscriber: bool,
    /// What clients and subscribers can set, anonymous ones can too. Default off.
    pub allow_publish_for_anonymous: bool,
    /// Clients with a user can remove entries. Default off.
    pub allow_remove_for_client: bool,
    /// Subscribers with a user can. Default off.
    pub allow_remove_for_subscriber: bool,
    /// What clients and subscribers can remove, anonymous ones can too. Default off.
    pub allow_remove_for_anonymous: bool,
    /// Entries in a page, where the client doesn't say. Default 100.
    pub default_page_size: usize,
    /// Fewest entries in a page that isn't the last, whatever the client says. Default 100.
    pub min_page_size: usize,
    /// Most entries in a page, whatever the client says. Default 1,000.
    pub max_page_size: usize,
    /// Most changes that a client can be behind when deliveries to it begin. A client that has missed more reads all entries
    /// anew. Default 0: `max_page_size`.
    pub live_transition_max_publication_limit: usize,
    /// How long a client can take to read all pages. Then it is ended with 3008. Default 5 s.
    pub subscribe_catch_up_timeout: Duration,
}

impl Default for MapOptions {
    fn default() -> Self {
        Self {
            mode: None,
            key_ttl: Duration::ZERO,
            stream_size: 100,
            stream_ttl: Duration::from_secs(60),
            meta_ttl: None,
            remove_client_on_unsubscribe: false,
            client_key: None,
            allow_publish_for_client: false,
            allow_publish_for_subscriber: false,
            allow_publish_for_anonymous: false,
            allow_remove_for_client: false,
            allow_remove_for_subscriber: false,
            allow_remove_for_anonymous: false,
            default_page_size: 100,
            min_page_size: 100,
            max_page_size: 1_000,
            live_transition_max_publication_limit: 0,
            subscribe_catch_up_timeout: Duration::from_secs(5),
        }
    }
}

impl MapOptions {
    /// Returns whether changes are kept.
    #[must_use]
    pub fn has_stream(&self) -> bool {
        self.mode.is_some_and(MapMode::has_stream)
    }

    /// Returns how long offset and epoch outlive the last change.
    #[must_use]
    pub fn meta_ttl(&self) -> Duration {
        if self.mode == Some(MapMode::Persistent) {
            return FOREVER;
        }
        let derived = self.stream_ttl.saturating_mul(10).max(self.key_ttl);
        self.meta_ttl.unwrap_or(derived)
    }

    /// Returns how many entries a page has for a client that asks for `limit`; 0 is the client's "as you like".
    #[must_use]
    pub fn page_size(&self, limit: i32) -> usize {
        let wanted = match usize::try_from(limit) {
            Ok(0) | Err(_) => self.default_page_size,
            Ok(limit) => limit,
        };
        wanted
            .max(self.min_page_size)
            .min(self.max_page_size)
            .max(1)
    }

    /// Returns how many changes a client can be behind when deliveries begin.
    #[must_use]
    pub fn live_transition_max(&self) -> usize {
        match self.live_transition_max_publication_limit {
            0 => self.max_page_size,
            limit => limit,
        }
    }

    /// Returns whether `user` can set entries. An empty user is anonymous.
    #[must_use]
    pub fn allows_publish(&self, user: &str, membership: Membership) -> bool {
        let rights = Rights {
            client: self.allow_publish_for_client,
            subscriber: self.allow_publish_for_subscriber,
            anonymous: self.allow_publish_for_anonymous,
        };
        rights.admit(user, membership)
    }

    /// Returns whether `user` can remove entries. An empty user is anonymous.
    #[must_use]
    pub fn allows_remove(&self, user: &str, membership: Membership) -> bool {
        let rights = Rights {
            client: self.allow_remove_for_client,
            subscriber: self.allow_remove_for_subscriber,
            anonymous: self.allow_remove_for_anonymous,
        };
        rights.admit(user, membership)
    }
}

/// A century, which outlives every deployment and overflows no clock.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_page_stays_within_its_bounds() {
        let options = MapOptions {
            default_page_size: 20,
            min_page_size: 10,
            max_page_size: 50,
            ..MapOptions::default()
        };
        for (limit, size) in [(0, 20), (-1, 20), (1, 10), (30, 30), (51, 50)] {
            assert_eq!(options.page_size(limit), size, "{limit}");
        }
        assert_eq!(MapOptions::default().page_size(2), 100);
    }

    #[test]
    fn positions_outlive_entries_and_changes() {
        let mut options = MapOptions {
            mode: Some(MapMode::Recoverable),
            key_ttl: Duration::from_secs(30),
            ..MapOptions::default()
        };
        assert_eq!(options.meta_ttl(), Duration::from_secs(600));
        options.key_ttl = Duration::from_secs(3_600);
        assert_eq!(options.meta_ttl(), Duration::from_secs(3_600));
        options.meta_ttl = Some(Duration::from_secs(7_200));
        assert_eq!(options.meta_ttl(), Duration::from_secs(7_200));
        options.mode = Some(MapMode::Persistent);
        assert_eq!(options.meta_ttl(), FOREVER);
    }

    #[test]
    fn who_can_set_cannot_remove_without_that_right() {
        let options = MapOptions {
            allow_publish_for_subscriber: true,
            allow_remove_for_client: true,
            allow_remove_for_anonymous: true,
            ..MapOptions::default()
        };
        assert!(options.allows_publish("ann", Membership::Subscriber));
        assert!(!options.allows_publish("ann", Membership::Outsider));
        assert!(!options.allows_publish("", Membership::Subscriber));
        assert!(options.allows_remove("", Membership::Outsider));
    }
}
