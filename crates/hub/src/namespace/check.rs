//! The rules for options that stand together.

use std::time::Duration;

use super::{
    ChannelConfig, ChannelNames, ChannelOptions, ConfigError, MapMode, RecoveryMode, SlowReader,
    SubscriptionType,
};

/// Checks what one option says about another, in the whole configuration.
pub(super) fn check(config: &ChannelConfig) -> Result<(), ConfigError> {
    check_names(&config.names)?;
    let mut options = OptionsCheck {
        namespace: "",
        names: &config.names,
        history_meta_ttl: config.history_meta_ttl,
    };
    options.check(&config.without_namespace)?;
    check_presence_maps(config)?;
    for (index, namespace) in config.namespaces.iter().enumerate() {
        check_name(&namespace.name, &config.names)?;
        let before = &config.namespaces[..index];
        if before.iter().any(|other| other.name == namespace.name) {
            return Err(ConfigError::Duplicate(namespace.name.clone()));
        }
        options.namespace = &namespace.name;
        options.check(&namespace.options)?;
    }
    Ok(())
}

/// Checks that the channels that hold maps of subscribers are such maps.
fn check_presence_maps(config: &ChannelConfig) -> Result<(), ConfigError> {
    let without = [("", &config.without_namespace)];
    let named = config.namespaces.iter();
    let named = named.map(|namespace| (&*namespace.name, &namespace.options));
    for (namespace, options) in without.into_iter().chain(named) {
        for (option, prefix, wanted) in [
            (
                "map_clients_presence_channel_prefix",
                &options.map_clients_presence_channel_prefix,
                SubscriptionType::MapClients,
            ),
            (
                "map_users_presence_channel_prefix",
                &options.map_users_presence_channel_prefix,
                SubscriptionType::MapUsers,
            ),
        ] {
            let (target, _) = config.names.split(prefix);
            let target = match target {
                "" => Some(&config.without_namespace),
                name => config
                    .namespaces
                    .iter()
                    .find(|namespace| namespace.name == name)
                    .map(|namespace| &namespace.options),
            };
            if !prefix.is_empty() && target.is_none_or(|it| it.subscription_type != wanted) {
                return Err(ConfigError::Together {
                    namespace: namespace.to_owned(),
                    option,
                    other: "subscription_type",
                    reason: "it must begin with a namespace whose subscription_type is map_clients, or map_users",
                });
            }
        }
    }
    Ok(())
}

fn check_names(names: &ChannelNames) -> Result<(), ConfigError> {
    let settings = [
        ("private_prefix", &names.private_prefix),
        ("namespace_boundary", &names.namespace_boundary),
        ("user_boundary", &names.user_boundary),
        ("user_separator", &names.user_separator),
    ];
    for (index, (option, text)) in settings.iter().enumerate() {
        let equal = settings[index + 1..].iter().find(|(_, next)| next == text);
        if let (Some((other, _)), false) = (equal, text.is_empty()) {
            return Err(ConfigError::Names {
                option,
                other,
                reason: "they are the same, so that a name could be read in two ways",
            });
        }
    }
    Ok(())
}

fn check_name(name: &str, names: &ChannelNames) -> Result<(), ConfigError> {
    let refuse = |reason| {
        Err(ConfigError::Name {
            name: name.to_owned(),
            reason,
        })
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let boundary = names.namespace_boundary.as_str();
    if name.len() < 2 || !name.bytes().all(plain) {
        return refuse("allowed: two or more of a-z, A-Z, 0-9, -, _ and .");
    }
    if boundary.is_empty() {
        return refuse("no channel can name it, since namespace_boundary is empty");
    }
    if name.contains(boundary) {
        return refuse("no channel can name it, since it contains the namespace_boundary");
    }
    Ok(())
}

struct OptionsCheck<'a> {
    /// Empty for channels without a namespace.
    namespace: &'a str,
    names: &'a ChannelNames,
    history_meta_ttl: Duration,
}

impl OptionsCheck<'_> {
    fn check(&self, options: &ChannelOptions) -> Result<(), ConfigError> {
        self.check_history(options)?;
        self.check_slow_reader(options)?;
        self.check_map(options)?;
        self.refuse_if(
            options.force_push_join_leave && !options.join_leave,
            ["force_push_join_leave", "join_leave"],
            "without join_leave there is nothing to push",
        )?;
        self.refuse_if(
            options.allow_user_limited_channels && self.names.user_boundary.is_empty(),
            ["allow_user_limited_channels", "channel.user_boundary"],
            "with an empty boundary no name can list users",
        )
    }

    fn check_history(&self, options: &ChannelOptions) -> Result<(), ConfigError> {
        let has_size = options.history_size > 0;
        let has_ttl = !options.history_ttl.is_zero();
        self.refuse_if(
            has_size != has_ttl,
            ["history_size", "history_ttl"],
            "history needs both",
        )?;
        self.refuse_if(
            options.history_bytes_max > 0 && !options.has_history(),
            ["history_bytes_max", "history_size"],
            "without history_size and history_ttl nothing is kept",
        )?;
        let meta_ttl = options.history_meta_ttl.unwrap_or(self.history_meta_ttl);
        self.refuse_if(
            meta_ttl < options.history_ttl,
            ["history_ttl", "history_meta_ttl"],
            "a publication must not outlive its offset and epoch",
        )?;
        for (is_on, option) in [
            (options.force_recovery, "force_recovery"),
            (options.allow_recovery, "allow_recovery"),
            (options.force_positioning, "force_positioning"),
            (options.allow_positioning, "allow_positioning"),
        ] {
            self.refuse_if(
                is_on && !options.has_history(),
                [option, "history_size"],
                "without history_size and history_ttl there are no positions",
            )?;
        }
        let is_cache = options.force_recovery_mode == RecoveryMode::Cache;
        self.refuse_if(
            options.auto_cache_recover && !options.force_recovery,
            ["auto_cache_recover", "force_recovery"],
            "it needs force_recovery",
        )?;
        self.refuse_if(
            options.auto_cache_recover && !is_cache,
            ["auto_cache_recover", "force_recovery_mode"],
            "it needs force_recovery_mode = \"cache\"",
        )
    }

    fn check_slow_reader(&self, options: &ChannelOptions) -> Result<(), ConfigError> {
        if options.slow_reader == SlowReader::Disconnect {
            return Ok(());
        }
        let is_stream = options.force_recovery_mode == RecoveryMode::Stream;
        for (is_on, option) in [
            (options.force_recovery, "force_recovery"),
            (options.allow_recovery, "allow_recovery"),
        ] {
            self.refuse_if(
                is_on && is_stream,
                ["slow_reader", option],
                "what a slow reader loses would be missing from the stream; use slow_reader = \"disconnect\" or \
                 force_recovery_mode = \"cache\"",
            )?;
        }
        for (is_on, option) in [
            (options.force_positioning, "force_positioning"),
            (options.allow_positioning, "allow_positioning"),
        ] {
            self.refuse_if(
                is_on,
                ["slow_reader", option],
                "each publication that a slow reader loses would end its subscription; use slow_reader = \"disconnect\"",
            )?;
        }
        Ok(())
    }

    fn check_map(&self, options: &ChannelOptions) -> Result<(), ConfigError> {
        if !options.subscription_type.is_map() {
            return self.refuse_if(
                options.map.remove_client_on_unsubscribe,
                ["map.remove_client_on_unsubscribe", "subscription_type"],
                "only maps have entries",
            );
        }
        let map = &options.map;
        let has_expiry = map.mode.is_some_and(MapMode::has_expiry);
        let is_of_subscribers = options.subscription_type != SubscriptionType::Map;
        let loses = options.slow_reader != SlowReader::Disconnect;
        let (key_ttl, stream_ttl) = (map.key_ttl, map.stream_ttl);
        let too_short = map
            .meta_ttl
            .is_some_and(|ttl| ttl < stream_ttl || ttl < key_ttl);
        for (is_wrong, options, reason) in [
            (
                map.mode.is_none(),
                ["subscription_type", "map.mode"],
                "a map needs a mode",
            ),
            (
                has_expiry && key_ttl.is_zero(),
                ["map.mode", "map.key_ttl"],
                "entries that expire need a time",
            ),
            (
                map.mode == Some(MapMode::Persistent) && !key_ttl.is_zero(),
                ["map.mode", "map.key_ttl"],
                "entries of persistent maps don't expire",
            ),
            (
                map.mode == Some(MapMode::Persistent) && is_of_subscribers,
                ["map.mode", "subscription_type"],
                "who is subscribed does not outlive the server",
            ),
            (
                map.has_stream() && (map.stream_size == 0 || stream_ttl.is_zero()),
                ["map.stream_size", "map.stream_ttl"],
                "changes that are kept need both",
            ),
            (
                map.has_stream() && too_short,
                ["map.meta_ttl", "map.stream_ttl"],
                "entries and changes must not outlive their offset and epoch",
            ),
            (
                loses,
                ["slow_reader", "subscription_type"],
                "what a slow reader loses would be missing from its map; use slow_reader = \"disconnect\"",
            ),
            (
                options.has_history(),
                ["history_size", "subscription_type"],
                "the changes of a map are kept by map.stream_size and map.stream_ttl",
            ),
        ] {
            self.refuse_if(is_wrong, options, reason)?;
        }
        Ok(())
    }

    fn refuse_if(
        &self,
        is_wrong: bool,
        [option, other]: [&'static str; 2],
        reason: &'static str,
    ) -> Result<(), ConfigError> {
        match is_wrong {
            false => Ok(()),
            true => Err(ConfigError::Together {
                namespace: self.namespace.to_owned(),
                option,
                other,
                reason,
            }),
        }
    }
}
