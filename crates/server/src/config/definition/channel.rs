//! The keys of channels.

use clap::Args;
use sockeye_hub::namespace::{
    ChannelConfig, ChannelNames, ChannelOptions, DeltaType, Namespace, PublicationDataFormat,
    RecoveryMode, SlowReader, SubscriptionType,
};

use crate::config::{
    Bytes, Count, LongPeriod, MapTable, NamedList, Number, Section, Switch, TableKeys, Text, Under,
    choice, shape::Shape,
};

/// The section of what all channels share.
#[derive(Clone, Debug)]
pub(crate) struct InChannel;

impl Section for InChannel {
    const PATH: &'static str = "channel";
}

/// The section of the options of channels without a namespace.
#[derive(Clone, Debug)]
pub(crate) struct InWithoutNamespace;

impl Section for InWithoutNamespace {
    const PATH: &'static str = "channel.without_namespace";
}

/// What all channels share.
#[derive(Args, Clone, Debug)]
pub(crate) struct ChannelKeys {
    /// Longest name of a channel, in bytes
    #[arg(long, value_name = "COUNT", default_value = "255")]
    pub(crate) max_length: Count,

    /// What the name of a channel begins with whose subscribers need a token. Empty: no channel is private by its name
    #[arg(long, value_name = "TEXT", default_value = "$")]
    pub(crate) private_prefix: Text,

    /// What stands between a namespace and the rest of a channel's name
    #[arg(long, value_name = "TEXT", default_value = ":")]
    pub(crate) namespace_boundary: Text,

    /// What stands before the users that a channel's name admits, where allow_user_limited_channels is on
    #[arg(long, value_name = "TEXT", default_value = "#")]
    pub(crate) user_boundary: Text,

    /// What stands between two of these users
    #[arg(long, value_name = "TEXT", default_value = ",")]
    pub(crate) user_separator: Text,

    /// How long a channel's offset and epoch outlive its last publication, where its namespace does not say
    #[arg(long, value_name = "TIME", default_value = "720h")]
    pub(crate) history_meta_ttl: LongPeriod,

    /// What the data of a publication must be, where its namespace does not say
    #[arg(long, value_name = "FORMAT", default_value = "not_empty", value_parser = choice::data_format)]
    pub(crate) publication_data_format: PublicationDataFormat,

    /// Namespaces: a table [[channel.namespaces]] for each in the file, a JSON array as a flag and in the environment.
    /// Each has a name and the options of channel.without_namespace, none of which it inherits
    #[arg(long, value_name = "JSON", default_value = "[]")]
    pub(crate) namespaces: NamedList<ChannelOptionKeys>,
}

/// The options of the channels in one namespace, or of those without one.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChannelOptionKeys {
    /// Most publications kept for each channel. 0 keeps none
    #[arg(long, value_name = "COUNT", default_value = "0")]
    history_size: Number,

    /// Most bytes that the publications kept for each channel have together: data, tags and client. Beyond it the oldest
    /// go; the newest is kept, however large it is. Without it there is no limit
    #[arg(long, value_name = "SIZE")]
    history_bytes_max: Option<Bytes>,

    /// How long a publication is kept. History needs it and history_size
    #[arg(long, value_name = "TIME", default_value = "0s")]
    history_ttl: LongPeriod,

    /// How long a channel's offset and epoch outlive its last publication. Default: channel.history_meta_ttl
    #[arg(long, value_name = "TIME")]
    history_meta_ttl: Option<LongPeriod>,

    /// Recover every subscription of a client that comes back, whether or not it asks. Needs history
    #[arg(long, value_name = "on|off", default_value = "off")]
    force_recovery: Switch,

    /// Recover the subscriptions of clients that ask. Needs history
    #[arg(long, value_name = "on|off", default_value = "off")]
    allow_recovery: Switch,

    /// What a recovery delivers: all publications that were missed, or the newest
    #[arg(long, value_name = "stream|cache", default_value = "stream", value_parser = choice::recovery_mode)]
    force_recovery_mode: RecoveryMode,

    /// Deliver the newest publication to everybody who subscribes, whether or not the client asks. Needs force_recovery in
    /// cache mode
    #[arg(long, value_name = "on|off", default_value = "off")]
    auto_cache_recover: Switch,

    /// What happens to a subscriber that reads too slowly: it is ended with 3008, and recovers when it comes back; or it
    /// loses its oldest publications that wait, or all but the newest. Those two need cache mode, or no recovery
    #[arg(long, value_name = "disconnect|drop-oldest|latest-only", default_value = "disconnect", value_parser = choice::slow_reader)]
    slow_reader: SlowReader,

    /// Check the position of every subscription, and end one that has missed a publication. Needs history
    #[arg(long, value_name = "on|off", default_value = "off")]
    force_positioning: Switch,

    /// Check the positions of clients that ask. Needs history
    #[arg(long, value_name = "on|off", default_value = "off")]
    allow_positioning: Switch,

    /// Keep which clients are subscribed
    #[arg(long, value_name = "on|off", default_value = "off")]
    presence: Switch,

    /// Tell subscribers who joins and who leaves
    #[arg(long, value_name = "on|off", default_value = "off")]
    join_leave: Switch,

    /// Send joins and leaves to every subscriber, whether or not it asks. Needs join_leave
    #[arg(long, value_name = "on|off", default_value = "off")]
    force_push_join_leave: Switch,

    /// Let clients with a user subscribe without a token
    #[arg(long, value_name = "on|off", default_value = "off")]
    allow_subscribe_for_client: Switch,

    /// Let anonymous clients subscribe too, where allow_subscribe_for_client is on
    #[arg(long, value_name = "on|off", default_value = "off")]
    allow_subscribe_for_anonymous: Switch,

    /// Let clients with a user publish
    #[arg(long, value_name = "on|off", default_value = "off")]
    allow_publish_for_client: Switch,

    /// Let subscribers with a user publish
    #[arg(long, value_name = "on|off", default_value = "off")]
    allow_publish_for_subscriber: Switch,

    /// Let anonymous clients publish too, where clients or subscribers can
    #[arg(long, value_name = "on|off", default_value = "off")]
    allow_publish_for_anonymous: Switch,

    /// Let clients with a user read the history
    #[arg(long, value_name = "on|off", default_value = "off")]
    allow_history_for_client: Switch,

    /// Let subscribers with a user read the history
    #[arg(long, value_name = "on|off", default_value = "off")]
    allow_history_for_subscriber: Switch,

    /// Let anonymous clients read the history too, where clients or subscribers can
    #[arg(long, value_name = "on|off", default_value = "off")]
    allow_history_for_anonymous: Switch,

    /// Let clients with a user read the presence
    #[arg(long, value_name = "on|off", default_value = "off")]
    allow_presence_for_client: Switch,

    /// Let subscribers with a user read the presence
    #[arg(long, value_name = "on|off", default_value = "off")]
    allow_presence_for_subscriber: Switch,

    /// Let anonymous clients read the presence too, where clients or subscribers can
    #[arg(long, value_name = "on|off", default_value = "off")]
    allow_presence_for_anonymous: Switch,

    /// A name such as room#ann,bob admits the users ann and bob alone
    #[arg(long, value_name = "on|off", default_value = "off")]
    allow_user_limited_channels: Switch,

    /// Regular expression that must match in the part of the name behind the namespace. Default: none, and names are
    /// ASCII
    #[arg(long, value_name = "PATTERN")]
    channel_regex: Option<Text>,

    /// Let subscribers ask for publications with certain tags alone
    #[arg(long, value_name = "on|off", default_value = "off")]
    allow_tags_filter: Switch,

    /// Delta compression that subscribers can ask for: a publication is sent as its difference from the one before. Needs
    /// history. Default: none
    #[arg(long, value_name = "fossil", value_delimiter = ',', value_parser = choice::delta_type)]
    allowed_delta_types: Vec<DeltaType>,

    /// What the data of a publication must be. Default: channel.publication_data_format
    #[arg(long, value_name = "FORMAT", value_parser = choice::data_format)]
    publication_data_format: Option<PublicationDataFormat>,

    /// What subscriptions are: streams of publications; or maps, whose publications set and remove entries that each subscriber
    /// has. map_clients and map_users are kept by the server, for the two prefixes
    #[arg(long, value_name = "stream|map|map_clients|map_users", default_value = "stream", value_parser = choice::subscription_type)]
    subscription_type: SubscriptionType,

    /// How maps are kept, and who may change them: mode (ephemeral, recoverable or persistent), key_ttl, stream_size and so on
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) map: MapTable,

    /// Keep a map of the subscribed clients, in the channel with this prefix before the channel's name: the name of a namespace
    /// whose subscription_type is map_clients, and the boundary
    #[arg(long, value_name = "PREFIX")]
    map_clients_presence_channel_prefix: Option<Text>,

    /// Keep a map of the subscribed users in the same way, in a namespace whose subscription_type is map_users
    #[arg(long, value_name = "PREFIX")]
    map_users_presence_channel_prefix: Option<Text>,

    /// Ask the application whether a client without a token may subscribe. It decides alone: what clients may by these
    /// options doesn't count. Private channels and those that list users are not asked about
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) subscribe_proxy_enabled: Switch,

    /// How it is asked: the name of one of proxies, or default for channel.proxy.subscribe
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) subscribe_proxy_name: Text,

    /// Ask the application whether a client may publish, and what. It decides alone: what clients may by these options
    /// doesn't count
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) publish_proxy_enabled: Switch,

    /// How it is asked: the name of one of proxies, or default for channel.proxy.publish
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) publish_proxy_name: Text,

    /// Ask the application when the time of a subscription is over. Clients don't refresh their subscriptions then
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) sub_refresh_proxy_enabled: Switch,

    /// How it is asked: the name of one of proxies, or default for channel.proxy.sub_refresh
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) sub_refresh_proxy_name: Text,
}

impl TableKeys for ChannelOptionKeys {
    const SHAPE: Shape = Shape::Namespaces;
}

impl ChannelOptionKeys {
    /// Returns the options as the hub takes them.
    pub(crate) fn options(&self) -> ChannelOptions {
        let is_on = |switch: Switch| switch == Switch::On;
        let text = |text: &Option<Text>| text.clone().map_or_else(String::new, |text| text.0);
        ChannelOptions {
            history_size: self.history_size.0 as usize,
            history_bytes_max: self.history_bytes_max.map_or(0, |bytes| bytes.0),
            history_ttl: self.history_ttl.0,
            history_meta_ttl: self.history_meta_ttl.map(|ttl| ttl.0),
            force_recovery: is_on(self.force_recovery),
            allow_recovery: is_on(self.allow_recovery),
            force_recovery_mode: self.force_recovery_mode,
            auto_cache_recover: is_on(self.auto_cache_recover),
            slow_reader: self.slow_reader,
            force_positioning: is_on(self.force_positioning),
            allow_positioning: is_on(self.allow_positioning),
            presence: is_on(self.presence),
            join_leave: is_on(self.join_leave),
            force_push_join_leave: is_on(self.force_push_join_leave),
            allow_subscribe_for_client: is_on(self.allow_subscribe_for_client),
            allow_subscribe_for_anonymous: is_on(self.allow_subscribe_for_anonymous),
            allow_publish_for_client: is_on(self.allow_publish_for_client),
            allow_publish_for_subscriber: is_on(self.allow_publish_for_subscriber),
            allow_publish_for_anonymous: is_on(self.allow_publish_for_anonymous),
            allow_history_for_client: is_on(self.allow_history_for_client),
            allow_history_for_subscriber: is_on(self.allow_history_for_subscriber),
            allow_history_for_anonymous: is_on(self.allow_history_for_anonymous),
            allow_presence_for_client: is_on(self.allow_presence_for_client),
            allow_presence_for_subscriber: is_on(self.allow_presence_for_subscriber),
            allow_presence_for_anonymous: is_on(self.allow_presence_for_anonymous),
            allow_user_limited_channels: is_on(self.allow_user_limited_channels),
            channel_regex: self.channel_regex.clone().map(|pattern| pattern.0),
            allow_tags_filter: is_on(self.allow_tags_filter),
            allowed_delta_types: self.allowed_delta_types.clone(),
            publication_data_format: self.publication_data_format,
            refresh_by_server: is_on(self.sub_refresh_proxy_enabled),
            subscription_type: self.subscription_type,
            map: self.map.options.clone(),
            map_clients_presence_channel_prefix: text(&self.map_clients_presence_channel_prefix),
            map_users_presence_channel_prefix: text(&self.map_users_presence_channel_prefix),
        }
    }
}

/// Returns the channels as the hub takes them, unchecked.
pub(crate) fn channel_config(
    shared: &ChannelKeys,
    without_namespace: &Under<InWithoutNamespace, ChannelOptionKeys>,
) -> ChannelConfig {
    let namespaces = shared.namespaces.0.iter().map(|entry| Namespace {
        name: entry.name.clone(),
        options: entry.keys.options(),
    });
    ChannelConfig {
        names: ChannelNames {
            max_length: shared.max_length.0 as usize,
            private_prefix: shared.private_prefix.0.clone(),
            namespace_boundary: shared.namespace_boundary.0.clone(),
            user_boundary: shared.user_boundary.0.clone(),
            user_separator: shared.user_separator.0.clone(),
        },
        history_meta_ttl: shared.history_meta_ttl.0,
        publication_data_format: shared.publication_data_format,
        without_namespace: without_namespace.options(),
        namespaces: namespaces.collect(),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches as _};

    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_library() {
        let command = Under::<InChannel, ChannelKeys>::augment_args(Command::new("keys"));
        let command = Under::<InWithoutNamespace, ChannelOptionKeys>::augment_args(command);
        let matches = command.try_get_matches_from(["keys"]).unwrap();
        let shared = Under::<InChannel, ChannelKeys>::from_arg_matches(&matches).unwrap();
        let without_namespace = Under::from_arg_matches(&matches).unwrap();
        assert_eq!(
            channel_config(&shared, &without_namespace),
            ChannelConfig::default()
        );
    }
}
