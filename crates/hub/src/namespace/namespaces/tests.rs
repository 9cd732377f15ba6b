//! Tests of what names mean, and of which configurations are refused.

use std::time::Duration;

use super::*;
use crate::namespace::{RecoveryMode, SlowReader};

fn namespace(name: &str, options: ChannelOptions) -> Namespace {
    Namespace {
        name: name.to_owned(),
        options,
    }
}

fn with_history() -> ChannelOptions {
    ChannelOptions {
        history_size: 10,
        history_ttl: Duration::from_secs(60),
        ..ChannelOptions::default()
    }
}

fn resolver(namespaces: Vec<Namespace>) -> Namespaces {
    Namespaces::new(ChannelConfig {
        namespaces,
        ..ChannelConfig::default()
    })
    .unwrap()
}

#[test]
fn the_namespace_stands_before_the_first_boundary() {
    let all = resolver(vec![namespace("chat", with_history())]);
    for (channel, expected) in [
        ("news", ("", "news")),
        ("chat:room", ("chat", "room")),
        ("chat:room:7", ("chat", "room:7")),
        ("$chat:room", ("chat", "room")),
        // The rest of a name without a namespace is all of it, also what makes it private.
        ("$news", ("", "$news")),
        (":news", ("", "news")),
        ("chat:", ("chat", "")),
    ] {
        let resolved = all.resolve(channel).unwrap();
        assert_eq!((resolved.namespace, resolved.rest), expected, "{channel}");
        let expected_size = if expected.0 == "chat" { 10 } else { 0 };
        assert_eq!(resolved.options.history_size, expected_size, "{channel}");
    }
}

#[test]
fn the_prefix_makes_a_channel_private() {
    let all = resolver(vec![namespace("chat", with_history())]);
    assert!(all.resolve("$news").unwrap().is_private);
    assert!(all.resolve("$chat:room").unwrap().is_private);
    assert!(!all.resolve("chat:$room").unwrap().is_private);
}

#[test]
fn bad_names_are_told_apart() {
    let all = resolver(vec![namespace("chat", with_history())]);
    let refused = |channel: &str| all.resolve(channel).unwrap_err();
    assert_eq!(refused(""), UnresolvedChannel::Empty);
    assert_eq!(refused(&"x".repeat(256)), UnresolvedChannel::TooLong);
    assert_eq!(refused("nöws"), UnresolvedChannel::NotAscii);
    assert_eq!(refused("chats:room"), UnresolvedChannel::UnknownNamespace);
    // The length is told before the namespace, and the namespace before the letters.
    assert_eq!(
        refused(&format!("chats:{}", "x".repeat(256))),
        UnresolvedChannel::TooLong
    );
    assert_eq!(refused("chats:ü"), UnresolvedChannel::UnknownNamespace);
    assert!(all.resolve(&"x".repeat(255)).is_ok());
}

#[test]
fn unknown_namespaces_are_error_102_and_bad_names_error_107() {
    assert_eq!(UnresolvedChannel::UnknownNamespace.code(), 102);
    for bad in [
        UnresolvedChannel::Empty,
        UnresolvedChannel::TooLong,
        UnresolvedChannel::NotAscii,
        UnresolvedChannel::PatternMismatch,
    ] {
        assert_eq!(bad.code(), 107);
    }
}

#[test]
fn a_pattern_is_for_the_rest_and_replaces_the_rule_of_ascii() {
    let options = ChannelOptions {
        channel_regex: Some(r"^[a-zü]+$".to_owned()),
        ..ChannelOptions::default()
    };
    let all = resolver(vec![namespace("chat", options)]);
    assert!(all.resolve("chat:rüm").is_ok());
    assert_eq!(
        all.resolve("chat:room7").unwrap_err(),
        UnresolvedChannel::PatternMismatch
    );
    // Outside the namespace there is no pattern.
    assert!(all.resolve("room7").is_ok());
}

#[test]
fn back_ends_name_channels_that_clients_could_not() {
    let options = ChannelOptions {
        channel_regex: Some("^[a-z]+$".to_owned()),
        ..ChannelOptions::default()
    };
    let all = resolver(vec![namespace("chat", options)]);
    assert!(all.resolve_trusted("chat:ROOM").is_ok());
    assert!(all.resolve_trusted("nöws").is_ok());
    assert_eq!(
        all.resolve_trusted("chats:room").unwrap_err(),
        UnresolvedChannel::UnknownNamespace
    );
    assert_eq!(
        all.resolve_trusted("").unwrap_err(),
        UnresolvedChannel::Empty
    );
    assert_eq!(
        all.resolve_trusted(&"x".repeat(256)).unwrap_err(),
        UnresolvedChannel::TooLong
    );
}

#[test]
fn a_name_admits_the_users_behind_its_last_boundary() {
    let options = ChannelOptions {
        allow_user_limited_channels: true,
        ..ChannelOptions::default()
    };
    let all = resolver(vec![namespace("chat", options)]);
    let allows = |channel: &str, user: &str| all.resolve(channel).unwrap().allows_user(user);
    assert!(allows("chat:room#ann,bob", "ann"));
    assert!(allows("chat:room#ann,bob", "bob"));
    assert!(!allows("chat:room#ann,bob", "an"));
    assert!(!allows("chat:room#ann,bob", "ann,bob"));
    assert!(!allows("chat:room#ann#bob", "ann"));
    assert!(allows("chat:room#ann#bob", "bob"));
    assert!(allows("chat:room", "eve"));
    // An empty place in a list is not a place for the anonymous.
    assert!(!allows("chat:room#", ""));
    assert!(!allows("chat:room#ann,", ""));
    let users = all.resolve("chat:room#ann,bob").unwrap().users.unwrap();
    assert_eq!(users.iter().collect::<Vec<_>>(), ["ann", "bob"]);
}

#[test]
fn a_boundary_is_a_letter_like_others_where_names_list_no_users() {
    let all = resolver(Vec::new());
    let resolved = all.resolve("room#ann").unwrap();
    assert_eq!(resolved.users, None);
    assert!(resolved.allows_user("eve"));
}

#[test]
fn without_a_separator_a_name_lists_one_user() {
    let mut config = ChannelConfig::default();
    config.names.user_separator = String::new();
    config.without_namespace.allow_user_limited_channels = true;
    let all = Namespaces::new(config).unwrap();
    let resolved = all.resolve("room#ann,bob").unwrap();
    assert!(resolved.allows_user("ann,bob"));
    assert!(!resolved.allows_user("ann"));
    assert_eq!(
        all.personal_channel("", "ann,bob").as_deref(),
        Some("#ann,bob")
    );
}

#[test]
fn a_personal_channel_is_for_one_user_alone() {
    let all = resolver(vec![namespace("own", ChannelOptions::default())]);
    assert_eq!(all.personal_channel("", "ann").as_deref(), Some("#ann"));
    assert_eq!(
        all.personal_channel("own", "ann").as_deref(),
        Some("own:#ann")
    );
    for user in ["", "ann,bob", "ann#bob"] {
        assert_eq!(all.personal_channel("", user), None, "{user}");
    }
}

#[test]
fn a_namespace_has_its_own_meta_ttl_and_format_or_those_of_all() {
    let options = ChannelOptions {
        history_meta_ttl: Some(Duration::from_secs(70)),
        publication_data_format: Some(PublicationDataFormat::Binary),
        ..with_history()
    };
    let all = Namespaces::new(ChannelConfig {
        publication_data_format: PublicationDataFormat::Json,
        namespaces: vec![namespace("chat", options)],
        ..ChannelConfig::default()
    })
    .unwrap();
    let own = all.resolve("chat:room").unwrap();
    assert_eq!(own.history_meta_ttl, Duration::from_secs(70));
    assert_eq!(own.publication_data_format, PublicationDataFormat::Binary);
    let other = all.resolve("room").unwrap();
    assert_eq!(other.history_meta_ttl, Duration::from_secs(30 * 24 * 3600));
    assert_eq!(other.publication_data_format, PublicationDataFormat::Json);
}

/// Asserts that the options are refused, and that the error names both.
#[track_caller]
fn refused(options: ChannelOptions, names: [&'static str; 2]) {
    let result = Namespaces::new(ChannelConfig {
        namespaces: vec![namespace("chat", options)],
        ..ChannelConfig::default()
    });
    let error = result.expect_err("two options that can't both be");
    assert_eq!(error.namespace(), "chat");
    let text = error.to_string();
    for name in names {
        assert!(text.contains(name), "{text}");
    }
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn history_needs_a_size_and_a_time() {
    for options in [
        ChannelOptions {
            history_ttl: Duration::ZERO,
            ..with_history()
        },
        ChannelOptions {
            history_size: 0,
            ..with_history()
        },
    ] {
        refused(options, ["history_size", "history_ttl"]);
    }
}

#[test]
fn a_limit_of_bytes_needs_a_history() {
    let options = ChannelOptions {
        history_bytes_max: 1,
        ..ChannelOptions::default()
    };
    refused(options, ["history_bytes_max", "history_size"]);
}

#[test]
fn a_publication_does_not_outlive_its_position() {
    let options = ChannelOptions {
        history_meta_ttl: Some(Duration::from_secs(59)),
        ..with_history()
    };
    refused(options, ["history_ttl", "history_meta_ttl"]);
    // The value for all channels counts where a namespace has none.
    let options = ChannelOptions {
        history_ttl: Duration::from_secs(721 * 3600),
        ..with_history()
    };
    refused(options, ["history_ttl", "history_meta_ttl"]);
}

#[test]
fn recovery_and_positions_need_history() {
    let off = ChannelOptions::default;
    for (options, name) in [
        (
            ChannelOptions {
                force_recovery: true,
                ..off()
            },
            "force_recovery",
        ),
        (
            ChannelOptions {
                allow_recovery: true,
                ..off()
            },
            "allow_recovery",
        ),
        (
            ChannelOptions {
                force_positioning: true,
                ..off()
            },
            "force_positioning",
        ),
        (
            ChannelOptions {
                allow_positioning: true,
                ..off()
            },
            "allow_positioning",
        ),
    ] {
        refused(options, [name, "history_size"]);
    }
}

#[test]
fn slow_readers_lose_nothing_that_a_stream_promises() {
    for slow_reader in [SlowReader::DropOldest, SlowReader::LatestOnly] {
        let base = || ChannelOptions {
            slow_reader,
            ..with_history()
        };
        let forced = ChannelOptions {
            force_recovery: true,
            ..base()
        };
        let allowed = ChannelOptions {
            allow_recovery: true,
            ..base()
        };
        refused(forced.clone(), ["slow_reader", "force_recovery"]);
        refused(allowed, ["slow_reader", "allow_recovery"]);
        let cache = ChannelOptions {
            force_recovery_mode: RecoveryMode::Cache,
            ..forced
        };
        let positioned = ChannelOptions {
            force_positioning: true,
            ..cache.clone()
        };
        refused(positioned, ["slow_reader", "force_positioning"]);
        resolver(vec![
            namespace("cache", cache),
            namespace("plain", base()),
            namespace(
                "none",
                ChannelOptions {
                    slow_reader,
                    ..ChannelOptions::default()
                },
            ),
        ]);
    }
}

#[test]
fn automatic_recovery_needs_recovery_in_cache_mode() {
    let options = ChannelOptions {
        auto_cache_recover: true,
        ..with_history()
    };
    refused(options.clone(), ["auto_cache_recover", "force_recovery"]);
    let stream = ChannelOptions {
        force_recovery: true,
        ..options
    };
    refused(
        stream.clone(),
        ["auto_cache_recover", "force_recovery_mode"],
    );
    resolver(vec![namespace(
        "cache",
        ChannelOptions {
            force_recovery_mode: RecoveryMode::Cache,
            ..stream
        },
    )]);
}

#[test]
fn pushed_joins_need_joins() {
    let options = ChannelOptions {
        force_push_join_leave: true,
        ..ChannelOptions::default()
    };
    refused(options, ["force_push_join_leave", "join_leave"]);
}

#[test]
fn a_bad_pattern_names_its_namespace() {
    let options = ChannelOptions {
        channel_regex: Some("room(".to_owned()),
        ..ChannelOptions::default()
    };
    refused(options, ["channel_regex", "unclosed group"]);
}

#[test]
fn a_namespace_has_a_name_that_channels_can_have() {
    let error = |name: &str, boundary: &str| {
        let mut config = ChannelConfig::default();
        config.names.namespace_boundary = boundary.to_owned();
        config.namespaces = vec![namespace(name, ChannelOptions::default())];
        Namespaces::new(config).unwrap_err()
    };
    for (name, boundary) in [
        ("", ":"),
        ("a", ":"),
        ("a b", ":"),
        ("ch:at", ":"),
        ("ch.at", "."),
        ("chat", ""),
    ] {
        let text = error(name, boundary).to_string();
        assert!(text.contains(&format!("{name:?}")), "{text}");
    }
}

#[test]
fn two_namespaces_of_one_name_are_refused() {
    let result = Namespaces::new(ChannelConfig {
        namespaces: vec![
            namespace("chat", with_history()),
            namespace("chat", ChannelOptions::default()),
        ],
        ..ChannelConfig::default()
    });
    assert_eq!(
        result.unwrap_err(),
        ConfigError::Duplicate("chat".to_owned())
    );
}

#[test]
fn separators_differ() {
    let mut config = ChannelConfig::default();
    config.names.user_boundary = ":".to_owned();
    let text = Namespaces::new(config).unwrap_err().to_string();
    assert!(text.contains("namespace_boundary") && text.contains("user_boundary"));
    // What is switched off is no separator.
    let mut config = ChannelConfig::default();
    config.names.user_boundary = String::new();
    config.names.user_separator = String::new();
    assert!(Namespaces::new(config.clone()).is_ok());
    config.without_namespace.allow_user_limited_channels = true;
    let text = Namespaces::new(config).unwrap_err().to_string();
    assert!(text.contains("allow_user_limited_channels") && text.contains("user_boundary"));
}
