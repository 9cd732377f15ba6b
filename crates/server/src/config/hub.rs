//! The configuration of the hub, checked.

use std::{sync::Arc, time::Duration};

use sockeye::{Origins, socketio::SocketIoSettings};
use sockeye_hub::{
    MapLimits, NodeSettings, UnixMillis,
    broker::{LogSettings, MemoryLimits},
    namespace::{ChannelConfig, Namespaces},
    token::{JwksEndpoint, Verifier, VerifierConfig},
};

use super::{
    Bytes, Config, HookConfig, Switch, UrlPath,
    definition::{TokenKeys, channel_config},
    paths, times,
};
use crate::hub::KeySource;
use crate::socketio;
use crate::transport::HttpPath;

/// What the hub is started with.
pub(crate) struct HubConfig {
    pub(crate) settings: NodeSettings,
    pub(crate) namespaces: Namespaces,
    /// What the broker may hold.
    pub(crate) memory: MemoryLimits,
    /// What checks the tokens of connections; and those of subscriptions, unless there is another for them. `None`: no
    /// key is configured.
    pub(crate) verifier: Option<Verifier>,
    pub(crate) subscription_verifier: Option<Verifier>,
    /// What the application decides.
    pub(crate) hooks: HookConfig,
    /// From which pages clients can connect.
    pub(crate) origins: Origins,
    /// The WebSocket of the SDKs.
    pub(crate) websocket: Option<WebSocketPath>,
    /// The WebSocket that only receives.
    pub(crate) uni_websocket: Option<WebSocketPath>,
    pub(crate) http_stream: HttpPath,
    pub(crate) sse: HttpPath,
    pub(crate) uni_sse: HttpPath,
    pub(crate) emulation: HttpPath,
    /// How Socket.IO is served, if it is.
    pub(crate) socketio: Option<SocketIoSettings>,
    /// How long its clients can come back, if they can.
    pub(crate) socketio_recovery: Option<Duration>,
    /// Bytes. Largest message of a client behind SockJS.
    pub(crate) message_size_limit: usize,
    /// Bytes.
    pub(crate) queue_max_size: usize,
    /// How the log in the data directory is kept, if there is one.
    pub(crate) log: LogSettings,
}

/// Where a WebSocket of the hub is, and how large its messages can be.
pub(crate) struct WebSocketPath {
    pub(crate) path: String,
    /// Bytes.
    pub(crate) message_size_limit: usize,
}

impl HubConfig {
    /// Returns all that is wrong with the keys of the hub, each and together: one line for each, which begins with the key.
    pub(crate) fn errors(config: &Config) -> Vec<String> {
        let mut errors = times::check(config);
        let others = [
            namespaces(config).err(),
            paths::check(config).err(),
            HookConfig::new(config).err(),
            verifier("client.token", &config.token).err(),
            subscription_verifier(config).err(),
        ];
        errors.extend(others.into_iter().flatten());
        errors
    }

    /// Checks the keys of the hub, each and together.
    ///
    /// # Errors
    /// One line that begins with the key.
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        let namespaces = namespaces(config)?;
        paths::check(config)?;
        let transports = &config.transports;
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
            memory: memory_limits(config),
            namespaces,
            verifier: verifier("client.token", &config.token)?,
            subscription_verifier: subscription_verifier(config)?,
            origins: origins(config),
            websocket: (transports.websocket.disabled == Switch::Off).then(|| WebSocketPath {
                path: transports.websocket.handler_prefix.0.clone(),
                message_size_limit: transports.websocket.message_size_limit.0,
            }),
            uni_websocket: (transports.uni_websocket.enabled == Switch::On).then(|| {
                WebSocketPath {
                    path: transports.uni_websocket.handler_prefix.0.clone(),
                    message_size_limit: transports.uni_websocket.message_size_limit.0,
                }
            }),
            http_stream: http_path(
                transports.http_stream.enabled,
                &transports.http_stream.handler_prefix,
                transports.http_stream.max_request_body_size,
            ),
            sse: http_path(
                transports.sse.enabled,
                &transports.sse.handler_prefix,
                transports.sse.max_request_body_size,
            ),
            uni_sse: http_path(
                transports.uni_sse.enabled,
                &transports.uni_sse.handler_prefix,
                transports.uni_sse.max_request_body_size,
            ),
            emulation: http_path(
                paths::emulation(config),
                &transports.emulation.handler_prefix,
                transports.emulation.max_request_body_size,
            ),
            socketio: (config.socketio.enabled == Switch::On).then(|| socketio::settings(config)),
            socketio_recovery: (config.socketio.recovery == Switch::On)
                .then_some(config.socketio.recovery_max_time.0),
            message_size_limit: transports.websocket.message_size_limit.0,
            queue_max_size: config.client.queue_max_size.0,
            log: log_settings(config),
        })
    }
}

fn namespaces(config: &Config) -> Result<Namespaces, String> {
    let namespaces = Namespaces::new(config.channels()).map_err(|error| error.to_string())?;
    let personal = &config.personal_channel;
    let personal_namespace = &personal.personal_channel_namespace.0;
    let has_personal = personal.enabled == Switch::On;
    match has_personal && !namespaces.contains(personal_namespace) {
        false => Ok(namespaces),
        true => Err(format!(
            "client.subscribe_to_user_personal_channel.personal_channel_namespace: there is no namespace \
             {personal_namespace:?}"
        )),
    }
}

fn subscription_verifier(config: &Config) -> Result<Option<Verifier>, String> {
    let subscription = &config.subscription_token;
    match subscription.enabled {
        Switch::On => verifier("client.subscription_token", &subscription.token),
        Switch::Off => Ok(None),
    }
}

fn http_path(enabled: Switch, path: &UrlPath, body: Bytes) -> HttpPath {
    let mut served = HttpPath::new(&*path.0);
    served.max_request_body_size = body.0;
    if enabled == Switch::Off {
        served.path = None;
    }
    served
}

fn memory_limits(config: &Config) -> MemoryLimits {
    let keys = &config.broker_memory;
    let mut limits = MemoryLimits::default();
    limits.channels_max = keys.channels_max.0 as usize;
    limits.history_bytes_max = keys.history_bytes_max.0;
    limits.idempotency_bytes_max = keys.idempotency_bytes_max.0;
    limits.idempotency_keys_max = keys.idempotency_keys_max.0 as usize;
    limits
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
    settings.commands_waiting_max = client.commands_waiting_max.0 as usize;
    settings.command_bytes_waiting_max = client.command_bytes_waiting_max.0;
    settings.map_limits = MapLimits {
        keys_max: config.map_broker.keys_max.0 as usize,
        bytes_max: config.map_broker.bytes_max.0,
    };
    settings.recovery_max_publication_limit = client.recovery_max_publication_limit.0 as usize;
    settings.history_max_publication_limit = client.history_max_publication_limit.0 as usize;
    settings.answer_bytes_max = client.answer_bytes_max.0;
    settings.position_check_interval = client.channel_position_check_delay.0;
    settings.allow_anonymous_connect_without_token =
        is_on(client.allow_anonymous_connect_without_token) || is_dev;
    settings.disallow_anonymous_connection_tokens =
        is_on(client.disallow_anonymous_connection_tokens);
    settings.connect_include_server_time = is_on(client.connect_include_server_time);
    settings.insecure = is_on(client.insecure) || is_dev;
    settings.single_connection = is_on(personal.enabled) && is_on(personal.single_connection);
    settings.personal_channel_namespace =
        is_on(personal.enabled).then(|| personal.personal_channel_namespace.0.clone());
    let names = config.prometheus.registered_client_names.iter();
    settings.registered_client_names = names.map(|name| name.0.clone()).collect();
    settings
}

fn log_settings(config: &Config) -> LogSettings {
    let mut settings = LogSettings::default();
    settings.sync = config.hub_log.sync;
    settings.sync_interval = config.hub_log.sync_interval.0;
    settings.bytes_max = config.hub_log.bytes_max.0;
    let keys = &config.broker_memory;
    settings.channels_max = keys.channels_max.0 as usize;
    settings.idempotency_bytes_max = keys.idempotency_bytes_max.0;
    settings.idempotency_keys_max = keys.idempotency_keys_max.0 as usize;
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
                let is_map = options.subscription_type.is_map();
                if !is_map && options.history_size == 0 && options.history_ttl.is_zero() {
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
    use crate::{
        config::section,
        transport::{HttpTransportSettings, SocketIoTransportSettings},
    };

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
        assert_eq!(hub.memory, MemoryLimits::default());
        assert!(hub.verifier.is_none() && hub.subscription_verifier.is_none());
        assert_eq!(hub.origins, Origins::Same);
        let http = HttpTransportSettings::default();
        assert_eq!(hub.http_stream, http.http_stream);
        assert_eq!((hub.sse, hub.uni_sse), (http.sse, http.uni_sse));
        assert_eq!(hub.emulation, http.emulation);
        for websocket in [hub.websocket, hub.uni_websocket] {
            assert_eq!(websocket.unwrap().message_size_limit, 65_536);
        }
        assert_eq!(hub.queue_max_size, 1_048_576);
        let mut socketio = SocketIoTransportSettings::default().socketio;
        socketio.attachment_bytes_max = 65_536;
        assert_eq!(hub.socketio, Some(socketio));
        assert_eq!(hub.socketio_recovery, None);
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
