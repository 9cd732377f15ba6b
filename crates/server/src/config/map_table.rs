//! The options of maps: a table in the file, JSON elsewhere.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};
use sockeye_hub::namespace::{ClientKeySource, MapMode, MapOptions};

use super::{LongPeriod, Switch, Text, shape::Shape};

/// The options of the maps in a namespace, by Centrifugo's names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MapTable {
    pub(crate) options: MapOptions,
    /// Whether the application decides what clients set.
    pub(crate) publish_proxy: MapHook,
    /// Whether it decides what they remove.
    pub(crate) remove_proxy: MapHook,
}

/// A hook that the table switches on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MapHook {
    pub(crate) enabled: Switch,
    /// One of `proxies`, or `default`.
    pub(crate) name: Text,
}

impl Default for MapHook {
    fn default() -> Self {
        Self::new(false, None)
    }
}

impl MapHook {
    fn new(is_enabled: bool, name: Option<String>) -> Self {
        Self {
            enabled: match is_enabled {
                true => Switch::On,
                false => Switch::Off,
            },
            name: Text(name.unwrap_or_else(|| "default".to_owned())),
        }
    }
}

/// What the table can have. What it hasn't keeps its default.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    #[serde(deserialize_with = "mode")]
    mode: Option<MapMode>,
    #[serde(deserialize_with = "period")]
    key_ttl: Option<LongPeriod>,
    stream_size: Option<u32>,
    #[serde(deserialize_with = "period")]
    stream_ttl: Option<LongPeriod>,
    #[serde(deserialize_with = "period")]
    meta_ttl: Option<LongPeriod>,
    remove_client_on_unsubscribe: bool,
    #[serde(deserialize_with = "client_key")]
    client_key: Option<ClientKeySource>,
    allow_publish_for_client: bool,
    allow_publish_for_subscriber: bool,
    allow_publish_for_anonymous: bool,
    allow_remove_for_client: bool,
    allow_remove_for_subscriber: bool,
    allow_remove_for_anonymous: bool,
    default_page_size: Option<u32>,
    min_page_size: Option<u32>,
    max_page_size: Option<u32>,
    live_transition_max_publication_limit: u32,
    #[serde(deserialize_with = "period")]
    subscribe_catch_up_timeout: Option<LongPeriod>,
    publish_proxy_enabled: bool,
    publish_proxy_name: Option<String>,
    remove_proxy_enabled: bool,
    remove_proxy_name: Option<String>,
}

impl FromStr for MapTable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields: Fields = serde_json::from_str(text).map_err(|error| {
            let error = error.to_string();
            let reason = error.split(" at line ").next().unwrap_or_default();
            format!("{reason}; allowed: {}", Shape::MapTable.allowed())
        })?;
        let default = MapOptions::default();
        let count = |count: Option<u32>, default: usize| count.map_or(default, |it| it as usize);
        let options = MapOptions {
            mode: fields.mode,
            key_ttl: fields.key_ttl.map_or(default.key_ttl, |ttl| ttl.0),
            stream_size: count(fields.stream_size, default.stream_size),
            stream_ttl: fields.stream_ttl.map_or(default.stream_ttl, |ttl| ttl.0),
            meta_ttl: fields.meta_ttl.map(|ttl| ttl.0),
            remove_client_on_unsubscribe: fields.remove_client_on_unsubscribe,
            client_key: fields.client_key,
            allow_publish_for_client: fields.allow_publish_for_client,
            allow_publish_for_subscriber: fields.allow_publish_for_subscriber,
            allow_publish_for_anonymous: fields.allow_publish_for_anonymous,
            allow_remove_for_client: fields.allow_remove_for_client,
            allow_remove_for_subscriber: fields.allow_remove_for_subscriber,
            allow_remove_for_anonymous: fields.allow_remove_for_anonymous,
            default_page_size: count(fields.default_page_size, default.default_page_size),
            min_page_size: count(fields.min_page_size, default.min_page_size),
            max_page_size: count(fields.max_page_size, default.max_page_size),
            live_transition_max_publication_limit: fields.live_transition_max_publication_limit
                as usize,
            subscribe_catch_up_timeout: fields
                .subscribe_catch_up_timeout
                .map_or(default.subscribe_catch_up_timeout, |timeout| timeout.0),
        };
        let (publish, remove) = (fields.publish_proxy_enabled, fields.remove_proxy_enabled);
        Ok(Self {
            options,
            publish_proxy: MapHook::new(publish, fields.publish_proxy_name),
            remove_proxy: MapHook::new(remove, fields.remove_proxy_name),
        })
    }
}

/// Returns Centrifugo's table as ours: without what is off, and with lengths of time that `time` has translated.
///
/// # Errors
/// It has something that we don't have.
pub(crate) fn of_centrifugo(
    table: &Map<String, Value>,
    time: impl Fn(&Value) -> Option<String>,
) -> Result<Map<String, Value>, String> {
    let mut ours = Map::new();
    for (name, value) in table {
        let is_off = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        let is_asked = |hook: &str| table.get(&format!("{hook}_enabled")) == Some(&true.into());
        let hook = name.strip_suffix("_name");
        if is_off || hook.is_some_and(|hook| !is_asked(hook)) {
            continue;
        }
        let value = match name.ends_with("_ttl") || name.ends_with("_timeout") {
            false => value.clone(),
            true => match time(value) {
                Some(time) if time.starts_with('0') => continue,
                Some(time) => time.into(),
                None => return Err(format!("{name}: {value} is not a length of time")),
            },
        };
        ours.insert(name.clone(), value);
    }
    Ok(ours)
}

fn mode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<MapMode>, D::Error> {
    match &*String::deserialize(deserializer)? {
        "ephemeral" => Ok(Some(MapMode::Ephemeral)),
        "recoverable" => Ok(Some(MapMode::Recoverable)),
        "persistent" => Ok(Some(MapMode::Persistent)),
        other => Err(de::Error::custom(format!("mode: {other:?} is not a mode"))),
    }
}

fn client_key<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ClientKeySource>, D::Error> {
    match &*String::deserialize(deserializer)? {
        "client_id" => Ok(Some(ClientKeySource::ClientId)),
        "user_id" => Ok(Some(ClientKeySource::UserId)),
        other => {
            let reason = format!("client_key: {other:?} is neither client_id nor user_id");
            Err(de::Error::custom(reason))
        }
    }
}

fn period<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LongPeriod>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn an_empty_table_is_the_default() {
        assert_eq!("{}".parse(), Ok(MapTable::default()));
    }

    #[test]
    fn a_table_is_read_by_the_names_of_centrifugo() {
        let table = json!({
            "mode": "recoverable", "key_ttl": "90s", "stream_size": 7, "stream_ttl": "2m", "meta_ttl": "1h",
            "client_key": "user_id", "allow_publish_for_subscriber": true, "max_page_size": 50,
            "subscribe_catch_up_timeout": "9s",
        });
        let MapTable { options, .. } = table.to_string().parse().unwrap();
        let expected = MapOptions {
            mode: Some(MapMode::Recoverable),
            key_ttl: Duration::from_secs(90),
            stream_size: 7,
            stream_ttl: Duration::from_secs(120),
            meta_ttl: Some(Duration::from_secs(3_600)),
            client_key: Some(ClientKeySource::UserId),
            allow_publish_for_subscriber: true,
            max_page_size: 50,
            subscribe_catch_up_timeout: Duration::from_secs(9),
            ..MapOptions::default()
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (bad, expected) in [
            (json!({"mod": "persistent"}), "unknown field `mod`"),
            (
                json!({"mode": "eternal"}),
                "mode: \"eternal\" is not a mode",
            ),
            (json!({"client_key": "x"}), "client_key: \"x\" is neither"),
            (
                json!({"key_ttl": "soon"}),
                "\"soon\" is not a length of time",
            ),
            (json!({"stream_size": -1}), "invalid value: integer `-1`"),
        ] {
            let error = bad.to_string().parse::<MapTable>().unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_table_of_centrifugo_loses_what_is_off() {
        let seconds = |value: &Value| value.as_str().map(str::to_owned);
        let theirs = json!({
            "mode": "persistent", "key_ttl": "0s", "stream_size": 0, "stream_ttl": "60s",
            "publish_proxy_enabled": false, "publish_proxy_name": "default", "client_key": "",
        });
        let ours = of_centrifugo(theirs.as_object().unwrap(), seconds).unwrap();
        assert_eq!(
            Value::from(ours),
            json!({"mode": "persistent", "stream_ttl": "60s"})
        );
        let asks = json!({ "remove_proxy_enabled": true, "remove_proxy_name": "app" });
        let ours = of_centrifugo(asks.as_object().unwrap(), seconds).unwrap();
        assert_eq!(Value::from(ours), asks);
    }
}
