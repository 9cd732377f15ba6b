//! What a configuration says that is allowed, and can't be meant.

use sockeye_hub::namespace::ChannelOptions;

use super::{Config, Switch, TokenSecret, key::Key, suggest::nearest};

/// Bytes. RFC 7518 section 3.2: a key for HS256 has at least as many as its hash.
pub(crate) const HMAC_SECRET_BYTES_MIN: usize = 32;

/// Returns what to warn of, each in one line.
pub(crate) fn warnings(config: &Config) -> Vec<String> {
    let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut warnings: Vec<String> = open_to_all(config).map(str::to_owned).collect();
    warnings.extend(unknown_variables(variables));
    warnings.extend(short_secrets(config));
    let channels = config.channels();
    warnings.extend(idle_options(
        "channel.without_namespace",
        &channels.without_namespace,
    ));
    for namespace in &channels.namespaces {
        let place = format!("channel.namespaces, {}", namespace.name);
        warnings.extend(idle_options(&place, &namespace.options));
    }
    warnings
}

/// Returns what to say if the hub asks nobody for a token, or the API nobody for a key.
fn open_to_all(config: &Config) -> impl Iterator<Item = &'static str> {
    let is_on = |switch: Switch| switch == Switch::On;
    let hub = match (is_on(config.dev), is_on(config.client.insecure)) {
        (true, _) => Some(DEV_WARNING),
        (false, true) => Some(INSECURE_WARNING),
        (false, false) => None,
    };
    let api = is_on(config.http_api_insecure).then_some(API_WARNING);
    hub.into_iter().chain(api)
}

const DEV_WARNING: &str = "--dev: everybody can connect, subscribe, publish, and read history and presence; for development only";

const API_WARNING: &str = "http_api.insecure: everybody can use /api; for development, or where a proxy keeps others from it";

const INSECURE_WARNING: &str = "client.insecure: everybody can connect, subscribe, publish, and read history and presence; for development only";

/// Returns what to say about a secret that is too short, which isn't shown.
pub(crate) fn short_secret(place: &str, secret: &str) -> Option<String> {
    let bytes = match secret.len() {
        1 => "1 byte".to_owned(),
        bytes => format!("{bytes} bytes"),
    };
    (secret.len() < HMAC_SECRET_BYTES_MIN).then(|| {
        format!(
            "{place}: {bytes} can be guessed; take {HMAC_SECRET_BYTES_MIN} random ones or more (RFC 7518 section \
             3.2), such as those of `openssl rand -hex 32`"
        )
    })
}

fn short_secrets(config: &Config) -> impl Iterator<Item = String> {
    let subscription = &config.subscription_token;
    let own = (subscription.enabled == Switch::On).then_some(&subscription.token);
    let sections = [
        ("client.token", Some(&*config.token)),
        ("client.subscription_token", own),
    ];
    sections.into_iter().flat_map(|(section, keys)| {
        let secrets = keys.into_iter().flat_map(|keys| {
            [
                ("hmac_secret_key", &keys.hmac_secret_key),
                ("hmac_previous_secret_key", &keys.hmac_previous_secret_key),
            ]
        });
        secrets.filter_map(move |(name, secret)| {
            let TokenSecret(secret) = secret.as_ref()?;
            short_secret(&format!("{section}.{name}"), secret)
        })
    })
}

/// Returns what to say about options that do nothing.
fn idle_options(place: &str, options: &ChannelOptions) -> Vec<String> {
    let no_presence = (!options.presence).then_some("presence is off");
    let no_history = (!options.has_history())
        .then_some("there is no history without history_size and history_ttl");
    let presence = [
        options.allow_presence_for_client,
        options.allow_presence_for_subscriber,
        options.allow_presence_for_anonymous,
    ];
    let history = [
        options.allow_history_for_client,
        options.allow_history_for_subscriber,
        options.allow_history_for_anonymous,
    ];
    let publish = [
        options.allow_publish_for_client,
        options.allow_publish_for_subscriber,
        options.allow_publish_for_anonymous,
    ];
    let subscribe = [
        options.allow_subscribe_for_client,
        false,
        options.allow_subscribe_for_anonymous,
    ];
    let mut idle = Vec::new();
    for (name, [client, subscriber, anonymous], reason) in [
        ("presence", presence, no_presence),
        ("history", history, no_history),
        ("publish", publish, None),
        ("subscribe", subscribe, None),
    ] {
        let alone = (!client && !subscriber).then_some(EXTENDS_NOTHING);
        for (whom, is_on, reason) in [
            ("client", client, reason),
            ("subscriber", subscriber, reason),
            ("anonymous", anonymous, reason.or(alone)),
        ] {
            if let (true, Some(reason)) = (is_on, reason) {
                idle.push(format!(
                    "{place}: allow_{name}_for_{whom} does nothing: {reason}"
                ));
            }
        }
    }
    let has_delta = !options.allowed_delta_types.is_empty();
    // The differences of a map are from its entries.
    let is_map = options.subscription_type.is_map();
    if let (true, Some(reason)) = (has_delta && !is_map, no_history) {
        idle.push(format!(
            "{place}: allowed_delta_types does nothing: {reason}"
        ));
    }
    idle
}

const EXTENDS_NOTHING: &str = "it extends the rights of other clients, which have none";

/// Returns what to say about variables that look like ours and aren't.
fn unknown_variables(names: impl Iterator<Item = String>) -> Vec<String> {
    let keys = Key::all();
    let known: Vec<String> = keys
        .iter()
        .flat_map(|key| [Some(key.env()), key.earlier_env()])
        .flatten()
        .collect();
    let words: Vec<&str> = known.iter().map(String::as_str).collect();
    let mut unknown: Vec<String> = names
        .filter(|name| name.starts_with(PREFIX) && !known.contains(name))
        .filter(|name| !OF_KUBERNETES.iter().any(|start| name.starts_with(start)))
        .collect();
    unknown.sort();
    let described = unknown.into_iter().map(|name| {
        // A section is part of a key's path, and not always of its variable.
        let of_path = keys.iter().find(|key| {
            let path = key.path().unwrap_or_default().replace('.', "_");
            name[PREFIX.len()..].eq_ignore_ascii_case(&path)
        });
        let meant = of_path.map(Key::env);
        let meant = meant.or_else(|| nearest(&name, &words).map(str::to_owned));
        match meant {
            Some(meant) => format!("{name}: unknown variable; did you mean {meant}?"),
            None => format!("{name}: unknown variable; see `sockeye config reference`"),
        }
    });
    described.collect()
}

/// What the names of our variables begin with.
const PREFIX: &str = "SOCKEYE_";

/// What Kubernetes sets in every pod beside a service named sockeye.
const OF_KUBERNETES: [&str; 2] = ["SOCKEYE_SERVICE_", "SOCKEYE_PORT"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section;

    #[test]
    fn options_that_do_nothing_are_named_with_the_reason() {
        let named = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(id, value)| ((*id).to_owned(), (*value).to_owned()))
                .collect();
            warnings(&section::read(&pairs).unwrap())
        };
        let room = |options: &str| format!(r#"[{{"name": "room", {options}}}]"#);
        for (options, expected) in [
            (
                r#""allow_presence_for_subscriber": true"#,
                Some("allow_presence_for_subscriber does nothing: presence is off"),
            ),
            (
                r#""allow_presence_for_subscriber": true, "presence": true"#,
                None,
            ),
            (
                r#""allow_history_for_client": true"#,
                Some(
                    "allow_history_for_client does nothing: there is no history without history_size and history_ttl",
                ),
            ),
            (
                r#""allow_publish_for_anonymous": true"#,
                Some(
                    "allow_publish_for_anonymous does nothing: it extends the rights of other clients, which have none",
                ),
            ),
            (
                r#""allow_publish_for_anonymous": true, "allow_publish_for_subscriber": true"#,
                None,
            ),
            (
                r#""allowed_delta_types": ["fossil"], "subscription_type": "map", "map": {"mode": "persistent"}"#,
                None,
            ),
            (
                r#""allow_subscribe_for_anonymous": true"#,
                Some(
                    "allow_subscribe_for_anonymous does nothing: it extends the rights of other clients, which have none",
                ),
            ),
        ] {
            let expected = expected.map(|text| format!("channel.namespaces, room: {text}"));
            let warned = named(&[("channel_namespaces", &room(options))]);
            assert_eq!(warned, expected.into_iter().collect::<Vec<_>>());
        }
        let alone = named(&[(
            "channel_without_namespace_allow_history_for_subscriber",
            "on",
        )]);
        assert!(
            alone[0].starts_with("channel.without_namespace: allow_history_for_subscriber does"),
            "{alone:?}"
        );
        // In development every channel has history and presence.
        let dev = ("dev", "on");
        let options = room(r#""allow_presence_for_client": true"#);
        assert_eq!(
            named(&[dev, ("channel_namespaces", &options)]),
            [DEV_WARNING]
        );
    }

    #[test]
    fn variables_that_are_not_ours_are_named_with_the_nearest() {
        let names = [
            "SOCKEYE_LISTN",
            "SOCKEYE_LISTEN",
            "SOCKEYE_API_KEY",
            "SOCKEYE_LIMITS_CONNECTIONS_MAX",
            "SOCKEYE_PORT_8080_TCP_ADDR",
            "SOCKEYE_SERVICE_HOST",
            "SOCKEYE_WEATHER",
            "PATH",
        ];
        assert_eq!(
            unknown_variables(names.into_iter().map(str::to_owned)),
            [
                "SOCKEYE_LIMITS_CONNECTIONS_MAX: unknown variable; did you mean SOCKEYE_CONNECTIONS_MAX?",
                "SOCKEYE_LISTN: unknown variable; did you mean SOCKEYE_LISTEN?",
                "SOCKEYE_WEATHER: unknown variable; see `sockeye config reference`",
            ]
        );
    }
}
