//! The options of a channel.

use std::time::Duration;

use super::{MapOptions, SubscriptionType};

/// The options of every channel in a namespace. By default all is off: no history, no presence, and no rights for
/// clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelOptions {
    /// Most publications kept for each channel. 0 keeps none, and is the default.
    pub history_size: usize,
    /// Bytes. Most that the publications kept for each channel have together: of data, tags and client. The newest is kept,
    /// however large it is. Default 0: no limit.
    pub history_bytes_max: usize,
    /// How long a publication is kept. Default 0, which is only allowed without history.
    pub history_ttl: Duration,
    /// How long a channel's offset and epoch outlive its last publication. At least `history_ttl`. Default: that of the
    /// [`super::ChannelConfig`].
    pub history_meta_ttl: Option<Duration>,
    /// Recovers every subscription of a client that comes back, whether or not it asks. Default off.
    pub force_recovery: bool,
    /// Recovers the subscriptions of clients that ask. Default off.
    pub allow_recovery: bool,
    /// What a recovery delivers. Default: all that was missed.
    pub force_recovery_mode: RecoveryMode,
    /// Delivers the newest publication with each subscription, without a position from the client. Only with
    /// `force_recovery` in cache mode. Default off.
    pub auto_cache_recover: bool,
    /// Checks the position of every subscription, and ends one that has missed a publication. Default off.
    pub force_positioning: bool,
    /// Checks the positions of clients that ask. Default off.
    pub allow_positioning: bool,

    /// Keeps which clients are subscribed. Default off.
    pub presence: bool,
    /// Tells subscribers who joins and who leaves. Default off.
    pub join_leave: bool,
    /// Sends joins and leaves to every subscriber, whether or not it asks. Only with `join_leave`. Default off.
    pub force_push_join_leave: bool,

    /// Clients with a user can subscribe without a token. Default off.
    pub allow_subscribe_for_client: bool,
    /// Anonymous clients can too. Default off.
    pub allow_subscribe_for_anonymous: bool,
    /// Clients with a user can publish. Default off.
    pub allow_publish_for_client: bool,
    /// Subscribers with a user can publish. Default off.
    pub allow_publish_for_subscriber: bool,
    /// What clients and subscribers can publish, anonymous ones can too. Default off.
    pub allow_publish_for_anonymous: bool,
    /// Clients with a user can read the history. Default off.
    pub allow_history_for_client: bool,
    /// Subscribers with a user can read the history. Default off.
    pub allow_history_for_subscriber: bool,
    /// What clients and subscribers can read of the history, anonymous ones can too. Default off.
    pub allow_history_for_anonymous: bool,
    /// Clients with a user can read the presence. Default off.
    pub allow_presence_for_client: bool,
    /// Subscribers with a user can read the presence. Default off.
    pub allow_presence_for_subscriber: bool,
    /// What clients and subscribers can read of the presence, anonymous ones can too. Default off.
    pub allow_presence_for_anonymous: bool,
    /// A name such as `room#ann,bob` admits the users `ann` and `bob`, and nobody else without a token. Default off: `#`
    /// is a character like others.
    pub allow_user_limited_channels: bool,
    /// A regular expression that must match somewhere in the part of the name behind the namespace; `^` and `$` make it
    /// match all of it. Where there is one, names need not be ASCII. `\d`, `\s` and `\w` are ASCII. Default: none.
    pub channel_regex: Option<String>,
    /// The application is asked when the time of a subscription is over (`NodeBuilder::on_sub_refresh`); clients aren't told
    /// of the time, and don't refresh. Default off: clients bring a new token.
    pub refresh_by_server: bool,
    /// A subscriber can ask for publications with certain tags alone. Default off.
    pub allow_tags_filter: bool,
    /// The kinds of delta compression that subscribers can ask for. They work in channels with history, for subscriptions without
    /// a tags filter, and where slow readers are disconnected. Default: none.
    pub allowed_delta_types: Vec<DeltaType>,
    /// What a publication's data must be. Default: anything but empty. `None` is that of the [`super::ChannelConfig`].
    pub publication_data_format: Option<PublicationDataFormat>,
    /// What happens to a subscriber whose outbox is full. Default: it is disconnected with 3008.
    pub slow_reader: SlowReader,

    /// What subscriptions are. Default: streams.
    pub subscription_type: SubscriptionType,
    /// The options of maps, where subscriptions are such.
    pub map: MapOptions,
    /// A map of the subscribed clients is kept in the channel whose name is this prefix and the channel's. Its namespace's
    /// subscriptions are of the type [`SubscriptionType::MapClients`]. Empty (the default): none is kept.
    pub map_clients_presence_channel_prefix: String,
    /// The same for a map of users, [`SubscriptionType::MapUsers`]. Default: empty.
    pub map_users_presence_channel_prefix: String,
}

/// What a recovery delivers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecoveryMode {
    /// All publications that were missed.
    #[default]
    Stream,
    /// The newest publication.
    Cache,
}

/// What happens to a subscriber whose outbox is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlowReader {
    /// It is disconnected with 3008. It recovers when it comes back.
    #[default]
    Disconnect,
    /// It loses the oldest publications that wait for it.
    DropOldest,
    /// It loses all publications of a channel but the newest.
    LatestOnly,
}

/// How a publication is sent as its difference from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeltaType {
    /// In Fossil's delta format.
    Fossil,
}

/// What a publication's data must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PublicationDataFormat {
    /// Anything but empty.
    #[default]
    NotEmpty,
    /// JSON.
    Json,
    /// A JSON object.
    JsonObject,
    /// Any bytes, also none.
    Binary,
}

/// Whether a client is subscribed to the channel that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It is, or becomes so with this command.
    Subscriber,
    /// It isn't.
    Outsider,
}

impl ChannelOptions {
    /// Returns whether publications are kept.
    #[must_use]
    pub fn has_history(&self) -> bool {
        self.history_size > 0 && !self.history_ttl.is_zero()
    }

    /// Returns whether the channel can keep the promise of a recovery: there is history, and no slow reader loses
    /// publications that a recovery would have to deliver.
    #[must_use]
    pub fn can_recover(&self) -> bool {
        let loses = self.slow_reader != SlowReader::Disconnect;
        self.has_history() && !(loses && self.force_recovery_mode == RecoveryMode::Stream)
    }

    /// Returns whether subscribers can have this delta compression.
    #[must_use]
    pub fn allows_delta(&self, kind: DeltaType) -> bool {
        // Who loses publications has nothing that the next one could differ from.
        self.allowed_delta_types.contains(&kind)
            && (self.has_history() || self.subscription_type.is_map())
            && self.slow_reader == SlowReader::Disconnect
    }

    /// Returns whether `user` can subscribe without a token. An empty user is anonymous.
    #[must_use]
    pub fn allows_subscribe(&self, user: &str) -> bool {
        let admits_user = !user.is_empty() || self.allow_subscribe_for_anonymous;
        self.allow_subscribe_for_client && admits_user
    }

    /// Returns whether `user` can publish. An empty user is anonymous.
    #[must_use]
    pub fn allows_publish(&self, user: &str, membership: Membership) -> bool {
        let rights = Rights {
            client: self.allow_publish_for_client,
            subscriber: self.allow_publish_for_subscriber,
            anonymous: self.allow_publish_for_anonymous,
        };
        rights.admit(user, membership)
    }

    /// Returns whether `user` can read the history. An empty user is anonymous.
    #[must_use]
    pub fn allows_history(&self, user: &str, membership: Membership) -> bool {
        let rights = Rights {
            client: self.allow_history_for_client,
            subscriber: self.allow_history_for_subscriber,
            anonymous: self.allow_history_for_anonymous,
        };
        rights.admit(user, membership)
    }

    /// Returns whether `user` can read the presence. An empty user is anonymous.
    #[must_use]
    pub fn allows_presence(&self, user: &str, membership: Membership) -> bool {
        let rights = Rights {
            client: self.allow_presence_for_client,
            subscriber: self.allow_presence_for_subscriber,
            anonymous: self.allow_presence_for_anonymous,
        };
        rights.admit(user, membership)
    }
}

/// The three switches that each right of clients has.
pub(super) struct Rights {
    pub(super) client: bool,
    pub(super) subscriber: bool,
    pub(super) anonymous: bool,
}

impl Rights {
    /// `anonymous` gives nothing by itself: it extends the other two to clients without a user.
    pub(super) fn admit(&self, user: &str, membership: Membership) -> bool {
        let has_right = self.client || self.subscriber && membership == Membership::Subscriber;
        has_right && (!user.is_empty() || self.anonymous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_clients_have_no_rights() {
        let options = ChannelOptions::default();
        for user in ["ann", ""] {
            assert!(!options.allows_subscribe(user));
            for membership in [Membership::Subscriber, Membership::Outsider] {
                assert!(!options.allows_publish(user, membership));
                assert!(!options.allows_history(user, membership));
                assert!(!options.allows_presence(user, membership));
            }
        }
    }

    #[test]
    fn the_right_of_subscribers_is_not_that_of_outsiders() {
        let options = ChannelOptions {
            allow_publish_for_subscriber: true,
            allow_history_for_client: true,
            ..ChannelOptions::default()
        };
        assert!(options.allows_publish("ann", Membership::Subscriber));
        assert!(!options.allows_publish("ann", Membership::Outsider));
        assert!(options.allows_history("ann", Membership::Subscriber));
        assert!(options.allows_history("ann", Membership::Outsider));
        assert!(!options.allows_presence("ann", Membership::Subscriber));
    }

    #[test]
    fn anonymous_clients_need_both_the_right_and_the_switch_for_them() {
        let mut options = ChannelOptions {
            allow_subscribe_for_anonymous: true,
            allow_presence_for_anonymous: true,
            ..ChannelOptions::default()
        };
        assert!(!options.allows_subscribe(""));
        assert!(!options.allows_presence("", Membership::Subscriber));
        options.allow_subscribe_for_client = true;
        options.allow_presence_for_subscriber = true;
        assert!(options.allows_subscribe(""));
        assert!(options.allows_presence("", Membership::Subscriber));
        assert!(!options.allows_presence("", Membership::Outsider));
        options.allow_subscribe_for_anonymous = false;
        assert!(!options.allows_subscribe(""));
        assert!(options.allows_subscribe("ann"));
    }

    #[test]
    fn a_channel_whose_slow_readers_lose_publications_recovers_only_the_newest() {
        let mut options = ChannelOptions {
            history_size: 10,
            history_ttl: Duration::from_secs(60),
            ..ChannelOptions::default()
        };
        assert!(options.can_recover());
        options.slow_reader = SlowReader::LatestOnly;
        assert!(!options.can_recover());
        options.force_recovery_mode = RecoveryMode::Cache;
        assert!(options.can_recover());
        options.history_size = 0;
        assert!(!options.can_recover());
    }
}
