//! The configuration of hooks, checked: which application is asked about what.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use sockeye::ClientTls;
use url::Url;

use super::{Config, ProxyKeys, StatusTransform, Switch, Text};

/// Which endpoint is asked about what. What isn't here is not asked about.
#[derive(Debug, Default)]
pub(crate) struct HookConfig {
    pub(crate) connect: Option<Arc<EndpointConfig>>,
    pub(crate) refresh: Option<Arc<EndpointConfig>>,
    /// By namespace; empty for channels without one.
    pub(crate) subscribe: BTreeMap<String, Arc<EndpointConfig>>,
    pub(crate) publish: BTreeMap<String, Arc<EndpointConfig>>,
    pub(crate) sub_refresh: BTreeMap<String, Arc<EndpointConfig>>,
    pub(crate) map_publish: BTreeMap<String, Arc<EndpointConfig>>,
    pub(crate) map_remove: BTreeMap<String, Arc<EndpointConfig>>,
    pub(crate) rpc: RpcConfig,
}

/// Which endpoint answers which procedure calls.
#[derive(Debug, Default)]
pub(crate) struct RpcConfig {
    pub(crate) namespace_boundary: String,
    /// By namespace; empty for procedures without one. `None`: the namespace exists, and its calls are not answered.
    pub(crate) namespaces: BTreeMap<String, Option<Arc<EndpointConfig>>>,
}

/// One endpoint of the application.
#[derive(Debug)]
pub(crate) struct EndpointConfig {
    /// The section that defines it, for the log: `client.proxy.connect`.
    pub(crate) section: String,
    pub(crate) url: Url,
    pub(crate) timeout: Duration,
    /// Lower case.
    pub(crate) http_headers: Vec<String>,
    /// Lower case.
    pub(crate) emulated_headers: Vec<String>,
    pub(crate) static_headers: BTreeMap<String, String>,
    pub(crate) status_transforms: Vec<StatusTransform>,
    pub(crate) binary_encoding: bool,
    pub(crate) include_connection_meta: bool,
    pub(crate) tls: ClientTls,
    /// The name that the server's certificate must have, if it isn't that of the URL.
    pub(crate) server_name: Option<String>,
    /// Requests at the same time.
    pub(crate) requests_max: usize,
    /// Bytes.
    pub(crate) response_bytes_max: usize,
}

impl HookConfig {
    /// Checks the keys of hooks.
    ///
    /// # Errors
    /// One line that begins with the key.
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        let mut endpoints = Endpoints::new(config)?;
        let connect = &config.connect_proxy;
        let refresh = &config.refresh_proxy;
        let mut hooks = Self {
            connect: endpoints.switched("client.proxy.connect", connect.enabled, &connect.proxy)?,
            refresh: endpoints.switched("client.proxy.refresh", refresh.enabled, &refresh.proxy)?,
            ..Self::default()
        };
        let named = config.channel.namespaces.0.iter();
        let named = named.map(|entry| (entry.name.as_str(), &entry.keys));
        for (namespace, keys) in [("", &*config.without_namespace)].into_iter().chain(named) {
            for (enabled, name, option, section, default, chosen) in [
                (
                    keys.subscribe_proxy_enabled,
                    &keys.subscribe_proxy_name,
                    "subscribe_proxy_name",
                    "channel.proxy.subscribe",
                    &*config.subscribe_proxy,
                    &mut hooks.subscribe,
                ),
                (
                    keys.publish_proxy_enabled,
                    &keys.publish_proxy_name,
                    "publish_proxy_name",
                    "channel.proxy.publish",
                    &*config.publish_proxy,
                    &mut hooks.publish,
                ),
                (
                    keys.sub_refresh_proxy_enabled,
                    &keys.sub_refresh_proxy_name,
                    "sub_refresh_proxy_name",
                    "channel.proxy.sub_refresh",
                    &*config.sub_refresh_proxy,
                    &mut hooks.sub_refresh,
                ),
                (
                    keys.map.publish_proxy.enabled,
                    &keys.map.publish_proxy.name,
                    "map.publish_proxy_name",
                    "channel.proxy.map_publish",
                    &*config.map_publish_proxy,
                    &mut hooks.map_publish,
                ),
                (
                    keys.map.remove_proxy.enabled,
                    &keys.map.remove_proxy.name,
                    "map.remove_proxy_name",
                    "channel.proxy.map_remove",
                    &*config.map_remove_proxy,
                    &mut hooks.map_remove,
                ),
            ] {
                let user = place("channel", namespace, option);
                if let Some(endpoint) = endpoints.chosen(&user, enabled, name, section, default)? {
                    chosen.insert(namespace.to_owned(), endpoint);
                }
            }
        }
        hooks.rpc = RpcConfig::new(config, &mut endpoints)?;
        Ok(hooks)
    }

    /// Returns whether anything is asked.
    pub(crate) fn is_used(&self) -> bool {
        self.connect.is_some()
            || self.refresh.is_some()
            || self.rpc.is_used()
            || self.by_namespace().iter().any(|chosen| !chosen.is_empty())
    }

    /// Returns the names of the header fields that must be kept for as long as a client is connected, in lower case.
    pub(crate) fn kept_headers(&self) -> Vec<String> {
        let endpoints = self.by_namespace().into_iter().flat_map(BTreeMap::values);
        let endpoints = endpoints
            .chain(&self.refresh)
            .chain(self.rpc.namespaces.values().flatten());
        let names: BTreeSet<_> = endpoints
            .flat_map(|endpoint| {
                endpoint
                    .http_headers
                    .iter()
                    .chain(&endpoint.emulated_headers)
            })
            .collect();
        names.into_iter().cloned().collect()
    }

    fn by_namespace(&self) -> [&BTreeMap<String, Arc<EndpointConfig>>; 5] {
        [
            &self.subscribe,
            &self.publish,
            &self.sub_refresh,
            &self.map_publish,
            &self.map_remove,
        ]
    }
}

impl RpcConfig {
    fn new(config: &Config, endpoints: &mut Endpoints<'_>) -> Result<Self, String> {
        let named = config.rpc.namespaces.0.iter();
        let named = named.map(|entry| (entry.name.as_str(), &entry.keys));
        let mut namespaces = BTreeMap::new();
        for (namespace, keys) in [("", &*config.rpc_without_namespace)]
            .into_iter()
            .chain(named)
        {
            let user = place("rpc", namespace, "proxy_name");
            let (enabled, name) = (keys.proxy_enabled, &keys.proxy_name);
            let endpoint =
                endpoints.chosen(&user, enabled, name, "rpc.proxy", &config.rpc_proxy)?;
            if namespaces.insert(namespace.to_owned(), endpoint).is_some() {
                return Err(format!(
                    "rpc.namespaces: namespace {namespace:?} is there twice"
                ));
            }
        }
        Ok(Self {
            namespace_boundary: config.rpc.namespace_boundary.0.clone(),
            namespaces,
        })
    }

    /// Returns whether any call is answered.
    pub(crate) fn is_used(&self) -> bool {
        self.namespaces.values().any(Option::is_some)
    }
}

/// Returns how errors name an option of a namespace.
fn place(section: &str, namespace: &str, option: &str) -> String {
    match namespace {
        "" => format!("{section}.without_namespace.{option}"),
        namespace => format!("{section}.namespaces: namespace {namespace}: {option}"),
    }
}

/// The endpoints that something uses, each once.
struct Endpoints<'a> {
    config: &'a Config,
    made: BTreeMap<String, Arc<EndpointConfig>>,
}

impl<'a> Endpoints<'a> {
    fn new(config: &'a Config) -> Result<Self, String> {
        let mut endpoints = Self {
            config,
            made: BTreeMap::new(),
        };
        for entry in &config.proxies.0 {
            let name = &entry.name;
            let section = named(name);
            if name == DEFAULT || endpoints.made.contains_key(&section) {
                return Err(format!("proxies: proxy {name}: the name is taken"));
            }
            endpoints
                .get(&section, &entry.keys)
                .map_err(|error| error.replacen(&section, &format!("proxies: proxy {name}"), 1))?;
        }
        Ok(endpoints)
    }

    fn switched(
        &mut self,
        section: &str,
        enabled: Switch,
        keys: &ProxyKeys,
    ) -> Result<Option<Arc<EndpointConfig>>, String> {
        match enabled {
            Switch::On if keys.endpoint.is_none() => Err(format!(
                "{section}.enabled: the hook is on, and {section}.endpoint is not set"
            )),
            Switch::On => self.get(section, keys).map(Some),
            Switch::Off => Ok(None),
        }
    }

    /// Returns the endpoint that an option chooses by its name: the default one, or one of the list.
    fn chosen(
        &mut self,
        user: &str,
        enabled: Switch,
        name: &Text,
        default_section: &str,
        default: &ProxyKeys,
    ) -> Result<Option<Arc<EndpointConfig>>, String> {
        let is_default = name.0 == DEFAULT || name.0.is_empty();
        let known = self.made.get(&named(&name.0)).map(Arc::clone);
        match enabled {
            _ if !is_default && known.is_none() => {
                Err(format!("{user}: there is no {:?} in proxies", name.0))
            }
            Switch::Off => Ok(None),
            Switch::On if is_default && default.endpoint.is_none() => Err(format!(
                "{}: the hook is on, and {default_section}.endpoint is not set",
                user.replace("proxy_name", "proxy_enabled")
            )),
            Switch::On if is_default => self.get(default_section, default).map(Some),
            Switch::On => Ok(known),
        }
    }

    fn get(&mut self, section: &str, keys: &ProxyKeys) -> Result<Arc<EndpointConfig>, String> {
        if let Some(made) = self.made.get(section) {
            return Ok(Arc::clone(made));
        }
        let refuse = |message: &str| format!("{section}.{message}");
        let Some(url) = &keys.endpoint else {
            return Err(refuse("endpoint: it is not set"));
        };
        if keys.timeout.0.is_zero() {
            return Err(refuse("timeout: no application can answer in no time"));
        }
        let http = keys.http.clone().unwrap_or_default();
        let (tls, server_name) = http.tls().map_err(|message| refuse(&message))?;
        let names = |names: &[super::FieldName]| names.iter().map(|name| name.0.clone()).collect();
        let endpoint = Arc::new(EndpointConfig {
            section: section.to_owned(),
            url: url.0.clone(),
            timeout: keys.timeout.0,
            http_headers: names(&keys.http_headers),
            emulated_headers: names(&keys.emulated_headers),
            static_headers: http.static_headers,
            status_transforms: http.status_to_code_transforms,
            binary_encoding: keys.binary_encoding == Switch::On,
            include_connection_meta: keys.include_connection_meta == Switch::On,
            tls,
            server_name,
            requests_max: self.config.hook_requests_max.0 as usize,
            response_bytes_max: self.config.hook_response_bytes_max.0,
        });
        self.made.insert(section.to_owned(), Arc::clone(&endpoint));
        Ok(endpoint)
    }
}

fn named(name: &str) -> String {
    format!("proxies[{name}]")
}

/// The name of the endpoint that a hook's own section defines.
const DEFAULT: &str = "default";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section;

    fn hooks(pairs: &[(&str, &str)]) -> Result<HookConfig, String> {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(id, value)| ((*id).to_owned(), (*value).to_owned()))
            .collect();
        HookConfig::new(&section::read(&pairs).unwrap())
    }

    #[test]
    fn without_configuration_nothing_is_asked() {
        let hooks = hooks(&[]).unwrap();
        assert!(hooks.connect.is_none() && hooks.refresh.is_none());
        assert!(hooks.subscribe.is_empty() && hooks.publish.is_empty());
        assert!(!hooks.is_used());
        assert!(hooks.kept_headers().is_empty());
    }

    #[test]
    fn a_hook_has_its_own_endpoint_or_one_of_the_list() {
        let hooks = hooks(&[
            ("proxies", r#"[{"name": "billing", "endpoint": "http://billing/", "http_headers": ["Cookie"]}]"#),
            ("channel_proxy_subscribe_endpoint", "http://app/subscribe"),
            ("channel_without_namespace_subscribe_proxy_enabled", "on"),
            (
                "channel_namespaces",
                r#"[{"name": "money", "subscribe_proxy_enabled": true, "subscribe_proxy_name": "billing"}, {"name": "open"}]"#,
            ),
            ("rpc_namespaces", r#"[{"name": "off"}, {"name": "money", "proxy_enabled": true, "proxy_name": "billing"}]"#),
        ])
        .unwrap();
        assert_eq!(hooks.subscribe[""].url.as_str(), "http://app/subscribe");
        assert_eq!(hooks.subscribe["money"].url.as_str(), "http://billing/");
        assert!(!hooks.subscribe.contains_key("open"));
        let money = hooks.rpc.namespaces["money"].as_ref().unwrap();
        assert!(Arc::ptr_eq(money, &hooks.subscribe["money"]));
        assert!(hooks.rpc.namespaces["off"].is_none());
        assert!(hooks.is_used());
        assert_eq!(hooks.kept_headers(), ["cookie"]);
        assert_eq!(money.timeout, Duration::from_secs(1));
    }

    #[test]
    fn errors_begin_with_the_key() {
        let on = ("client_proxy_connect_enabled", "on");
        for (pairs, expected) in [
            (
                &[on][..],
                "client.proxy.connect.enabled: the hook is on, and client.proxy.connect.endpoint is not set",
            ),
            (
                &[
                    on,
                    ("client_proxy_connect_endpoint", "http://a"),
                    ("client_proxy_connect_timeout", "0s"),
                ],
                "client.proxy.connect.timeout: ",
            ),
            (
                &[
                    on,
                    ("client_proxy_connect_endpoint", "https://a"),
                    (
                        "client_proxy_connect_http",
                        r#"{"tls": {"enabled": true, "server_ca_pem": "/no/such/file"}}"#,
                    ),
                ],
                "client.proxy.connect.http.tls.server_ca_pem: /no/such/file",
            ),
            (
                &[("channel_without_namespace_publish_proxy_enabled", "on")],
                "channel.without_namespace.publish_proxy_enabled: the hook is on, and channel.proxy.publish.endpoint is",
            ),
            (
                &[(
                    "channel_namespaces",
                    r#"[{"name": "a", "publish_proxy_name": "b"}]"#,
                )],
                "channel.namespaces: namespace a: publish_proxy_name: there is no \"b\" in proxies",
            ),
            (
                &[(
                    "channel_namespaces",
                    r#"[{"name": "a", "map": {"mode": "persistent", "remove_proxy_enabled": true}}]"#,
                )],
                "channel.namespaces: namespace a: map.remove_proxy_enabled: the hook is on, and channel.proxy.map_remove.",
            ),
            (
                &[("proxies", r#"[{"name": "a"}]"#)],
                "proxies: proxy a.endpoint: ",
            ),
            (
                &[(
                    "proxies",
                    r#"[{"name": "default", "endpoint": "http://a"}]"#,
                )],
                "proxies: proxy default: the name is taken",
            ),
            (
                &[("rpc_namespaces", r#"[{"name": "a"}, {"name": "a"}]"#)],
                "rpc.namespaces: namespace \"a\" is there twice",
            ),
        ] {
            let error = hooks(pairs).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
