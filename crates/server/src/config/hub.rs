//! The configuration of the hub, checked.

use std::{sync::Arc, time::Duration};

use sockeye::Origins;
use sockeye_hub::{
    NodeSettings, UnixMillis,
    broker::LogSettings,
    namespace::{ChannelConfig, Namespaces},
    token::{JwksEndpoint, Verifier, VerifierConfig},
};

use super::{
    Config, HookConfig, Switch,
    definition::{TokenKeys, channel_config},
};
use crate::hub::KeySource;

/// What the hub is started with.
pub(crate) struct HubConfig {
    pub(crate) settings: NodeSettings,
    pub(crate) namespaces: Namespaces,
    /// What checks the tokens of connections; and those of subscriptions, unless there is another for them. `None`: no
    /// key is configured.
    pub(crate) verifier: Option<Verifier>,
    pub(crate) subscription_verifier: Option<Verifier>,
    /// What the application decides.
    pub(crate) hooks: HookConfig,
    /// From which pages clients can connect.
    pub(crate) origins: Origins,
    /// Where the WebSocket is, `/connection/websocket`.
    pub(crate) websocket_path: String,
    /// Bytes.
    pub(crate) message_size_limit: usize,
    /// Bytes.
    pub(crate) queue_max_size: usize,
    /// How the log in the data directory is kept, if there is one.
    pub(crate) log: LogSettings,
}

impl HubConfig {
    /// Checks the keys of the hub, each and together.
    ///
    /// # Errors
    /// One line that begins with the key.
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        let namespaces = Namespaces::new(config.channels()).map_err(|error| error.to_string())?;
        let personal = &config.personal_channel;
        let personal_namespace = &personal.personal_channel_namespace.0;
        let has_personal = personal.enabled == Switch::On;
        if has_personal && !namespaces.contains(personal_namespace) {
            return Err(format!(
                "client.subscribe_to_user_personal_channel.personal_channel_namespace: there is no namespace \
                 {personal_namespace:?}"
            ));
        }
        let subscription = &config.subscription_token;
        let hooks = HookConfig::new(config)?;
        let mut settings = node_settings(config);
        settings.kept_headers = hooks.kept_headers();
        if hooks.is_used() {
            // Each endpoint has a limit of its own, and what waits for it waits within the hook's timeout.
            settings.handlers_max = usize::MAX;
        }
        Ok(Self {
            settings,
            hooks,
            namespaces,
            verifier: verifier("client.token", &config.token)?,
            subscription_verifier: match subscription.enabled {
                Switch::On => verifier("client.subscription_token", &subscription.token)?,
                Switch::Off => None,
            },
            origins: origins(config),
            websocket_path: config.websocket.handler_prefix.0.clone(),
            message_size_limit: config.websocket.message_size_limit.0,
            queue_max_size: config.client.queue_max_size.0,
            log: log_settings(config),
        })
    }
}

fn node_settings(config: &Config) -> NodeSettings {
    let is_on = |switch: Switch| switch == Switch::On;
    let client = &config.client;
    let personal = &config.personal_channel;
    let is_dev = is_on(config.dev);
    let mut settings = NodeSettings::default();
    settings.ping_interval = client.ping_interval.0;
    settings.pong_timeout = client.pong_timeout.0;
    settings.stale_close_delay = client.stale_close_delay.0;
    settings.expired_close_delay = client.expired_close_delay.0;
    settings.expired_sub_close_delay = client.expired_sub_close_delay.0;
    settings.channel_limit = client.channel_limit.0 as usize;
    settings.user_connection_limit = client.user_connection_limit.0 as usize;
    settings.concurrency = client.concurrency.0 as usize;
    settings.recovery_max_publication_limit = client.recovery_max_publication_limit.0 as usize;
    settings.history_max_publication_limit = client.history_max_publication_limit.0 as usize;
    settings.position_check_interval = client.channel_position_check_delay.0;
    settings.allow_anonymous_connect_without_token =
        is_on(client.allow_anonymous_connect_without_token) || is_dev;
    settings.disallow_anonymous_connection_tokens =
        is_on(client.disallow_anonymous_connection_tokens);
    settings.connect_include_server_time = is_on(client.connect_include_server_time);
    settings.insecure = is_on(client.insecure) || is_dev;
    settings.personal_channel_namespace =
        is_on(personal.enabled).then(|| personal.personal_channel_namespace.0.clone());
    settings
}

fn log_settings(config: &Config) -> LogSettings {
    let mut settings = LogSettings::default();
    settings.sync = config.hub_log.sync;
    settings.sync_interval = config.hub_log.sync_interval.0;
    settings.bytes_max = config.hub_log.bytes_max.0;
    settings
}

/// Returns the verifier of these keys; `None` without any.
fn verifier(section: &str, keys: &TokenKeys) -> Result<Option<Verifier>, String> {
    let endpoint = keys.jwks_public_endpoint.as_ref();
    let jwks = endpoint.map(|url| url.0.to_string()).into_iter();
    let valid_until = keys.hmac_previous_secret_key_valid_until.0;
    let config = VerifierConfig {
        hmac_secret_key: keys.hmac_secret_key.clone().map(|secret| secret.0),
        hmac_previous_secret_key: keys.hmac_previous_secret_key.clone().map(|secret| secret.0),
        hmac_previous_secret_key_valid_until: (valid_until > 0)
            .then(|| UnixMillis(u64::from(valid_until) * 1000)),
        rsa_public_key: keys.rsa_public_key.clone().map(|key| key.0),
        ecdsa_public_key: keys.ecdsa_public_key.clone().map(|key| key.0),
        ed25519_public_key: keys.ed25519_public_key.clone().map(|key| key.0),
        jwks: jwks.map(|url| JwksEndpoint { url, issuer: None }).collect(),
        audience: keys.audience.clone().map(|text| text.0),
        issuer: keys.issuer.clone().map(|text| text.0),
        user_id_claim: keys.user_id_claim.0.clone(),
        ..VerifierConfig::default()
    };
    let verifier = match endpoint {
        Some(url) => {
            let source = KeySource::new(url.0.clone());
            Verifier::with_jwks_source(config, Arc::new(source))
        }
        None => Verifier::new(config),
    };
    let verifier = verifier.map_err(|error| format!("{section}.{error}"))?;
    Ok(verifier.has_keys().then_some(verifier))
}

fn origins(config: &Config) -> Origins {
    let listed = &config.client.allowed_origins;
    match listed.iter().any(|origin| origin.0 == "*") {
        // Nobody has an identity that a page of another origin could use: there are no cookies.
        _ if config.dev == Switch::On => Origins::Any,
        true => Origins::Any,
        false if listed.is_empty() => config.own_origins(),
        false => Origins::List(listed.iter().map(|origin| origin.0.clone()).collect()),
    }
}

impl Config {
    /// Returns the origins of the server's own pages.
    pub(crate) fn own_origins(&self) -> Origins {
        let public = self.public_url.iter().map(|url| url.0.clone());
        match public.collect::<Vec<_>>() {
            none if none.is_empty() => Origins::Same,
            public => Origins::SameAnd(public),
        }
    }

    /// Returns the channels as the hub takes them, unchecked. In development every channel has history and presence.
    pub(crate) fn channels(&self) -> ChannelConfig {
        let mut channels = channel_config(&self.channel, &self.without_namespace);
        if self.dev == Switch::On {
            let namespaces = channels.namespaces.iter_mut();
            let options = namespaces.map(|namespace| &mut namespace.options);
            for options in options.chain([&mut channels.without_namespace]) {
                options.presence = true;
                options.join_leave = true;
                if options.history_size == 0 && options.history_ttl.is_zero() {
                    options.history_size = DEV_HISTORY_SIZE;
                    options.history_ttl = DEV_HISTORY_TTL;
                }
            }
        }
        channels
    }
}

/// Publications. Enough to see a recovery.
const DEV_HISTORY_SIZE: usize = 100;

/// Long enough to fetch a coffee.
const DEV_HISTORY_TTL: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section;

    fn hub(pairs: &[(&str, &str)]) -> Result<HubConfig, String> {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(id, value)| ((*id).to_owned(), (*value).to_owned()))
            .collect();
        HubConfig::new(&section::read(&pairs).unwrap())
    }

    #[test]
    fn the_defaults_are_those_of_the_library() {
        let hub = hub(&[]).unwrap();
        // Every field of one shows in the text of the other.
        assert_eq!(
            format!("{:?}", hub.settings),
            format!("{:?}", NodeSettings::default())
        );
        assert_eq!(hub.log, LogSettings::default());
        assert!(hub.verifier.is_none() && hub.subscription_verifier.is_none());
        assert_eq!(hub.origins, Origins::Same);
        assert_eq!(hub.message_size_limit, 65_536);
        assert_eq!(hub.queue_max_size, 1_048_576);
    }

    #[test]
    fn in_development_everybody_may_do_everything() {
        let hub = hub(&[("dev", "on")]).unwrap();
        assert!(hub.settings.insecure && hub.settings.allow_anonymous_connect_without_token);
        assert_eq!(hub.origins, Origins::Any);
        let options = hub.namespaces.resolve("any").unwrap().options;
        assert!(options.presence && options.has_history());
    }

    #[test]
    fn development_leaves_the_history_that_a_namespace_has() {
        let namespaces = r#"[{"name": "chat", "history_size": 5, "history_ttl": "9s"}]"#;
        let hub = hub(&[("dev", "on"), ("channel_namespaces", namespaces)]).unwrap();
        let options = hub.namespaces.resolve("chat:room").unwrap().options;
        assert_eq!(options.history_size, 5);
        assert!(options.presence);
    }

    #[test]
    fn subscriptions_have_keys_of_their_own_where_that_is_on() {
        let secret = ("client_subscription_token_hmac_secret_key", "other");
        let connection = ("client_token_hmac_secret_key", "secret");
        let off = hub(&[connection, secret]).unwrap();
        assert!(off.verifier.is_some() && off.subscription_verifier.is_none());
        let on = hub(&[
            connection,
            secret,
            ("client_subscription_token_enabled", "on"),
        ])
        .unwrap();
        assert!(on.subscription_verifier.is_some());
    }

    #[test]
    fn errors_begin_with_the_key() {
        let pem = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n";
        for (pairs, expected) in [
            (
                &[
                    ("client_subscribe_to_user_personal_channel_enabled", "on"),
                    (
                        "client_subscribe_to_user_personal_channel_personal_channel_namespace",
                        "own",
                    ),
                ][..],
                "client.subscribe_to_user_personal_channel.personal_channel_namespace: there is no namespace \"own\"",
            ),
            (
                &[("client_token_rsa_public_key", pem)],
                "client.token.rsa_public_key: ",
            ),
        ] {
            let error = hub(pairs).err().unwrap();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn listed_origins_replace_the_servers_own() {
        let one = hub(&[("client_allowed_origins", "https://a.example")]).unwrap();
        assert_eq!(
            one.origins,
            Origins::List(vec!["https://a.example".to_owned()])
        );
        let any = hub(&[("client_allowed_origins", "*")]).unwrap();
        assert_eq!(any.origins, Origins::Any);
        let public = hub(&[("public_url", "https://a.example/")]).unwrap();
        let expected = vec!["https://a.example".to_owned()];
        assert_eq!(public.origins, Origins::SameAnd(expected));
    }
}
