//! A list of tables with a name each: tables in the file, JSON elsewhere.

use std::str::FromStr;

use clap::Args;
use serde_json::{Map, Value};

use super::{key::Key, section, shape::Shape, toml_value};

/// Tables with a name and the keys `K`, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedList<K>(pub(crate) Vec<NamedEntry<K>>);

/// One table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedEntry<K> {
    pub(crate) name: String,
    pub(crate) keys: K,
}

impl<K> NamedList<K> {
    /// Returns the names of the tables in their order.
    pub(crate) fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.0.iter().map(|entry| entry.name.as_str()))
    }
}

/// The keys of the tables in a list.
pub(crate) trait TableKeys: Args {
    /// The shape of the list.
    const SHAPE: Shape;
}

impl<K: TableKeys> FromStr for NamedList<K> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let list: Vec<Map<String, Value>> =
            serde_json::from_str(text).map_err(|_| K::SHAPE.refuse(text))?;
        let keys = Key::all_of::<K>();
        list.iter()
            .map(|table| entry(table, &keys))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn entry<K: TableKeys>(table: &Map<String, Value>, keys: &[Key]) -> Result<NamedEntry<K>, String> {
    let noun = K::SHAPE.table_noun();
    let Some(Value::String(name)) = table.get(NAME) else {
        return Err(format!("a {noun} needs a name"));
    };
    let refuse = |message: String| format!("{noun} {name}: {message}");
    let mut pairs = Vec::new();
    for (option, value) in table.iter().filter(|(option, _)| *option != NAME) {
        let key = keys.iter().find(|key| key.id() == option);
        let key = key.ok_or_else(|| refuse(unknown_option(option, keys)))?;
        let items = match value {
            Value::Array(items) if key.is_list() => items.iter().collect(),
            value => vec![value],
        };
        for item in items {
            let text = scalar(key.shape(), item).ok_or_else(|| {
                let allowed = key.shape().allowed();
                refuse(format!("{option}: {item} does not fit; allowed: {allowed}"))
            })?;
            let checked = key.shape().check(&text);
            checked.map_err(|message| refuse(format!("{option}: {message}")))?;
            pairs.push((option.clone(), text));
        }
    }
    Ok(NamedEntry {
        name: name.clone(),
        keys: section::read(&pairs).map_err(|error| refuse(error.to_string()))?,
    })
}

/// Returns what to say about an option that doesn't exist.
pub(super) fn unknown_option(option: &str, keys: &[Key]) -> String {
    let names: Vec<_> = keys.iter().map(Key::id).collect();
    match super::suggest::nearest(option, &names) {
        Some(name) => format!("unknown key {option}; did you mean {name}?"),
        None => {
            let allowed = names.join(", ");
            format!("unknown key {option}; allowed here: {NAME}, {allowed}")
        }
    }
}

fn scalar(shape: Shape, value: &Value) -> Option<String> {
    match value {
        Value::String(text) if shape.takes_string() => Some(text.clone()),
        Value::Number(number) if shape.takes_integer() => Some(number.to_string()),
        Value::Bool(value) if shape.takes_boolean() => Some(value.to_string()),
        Value::Object(_) if shape.takes_table() => Some(value.to_string()),
        _ => None,
    }
}

/// Returns the list as TOML: an array with one table in each line.
pub(super) fn toml_array(json: &str) -> String {
    let list: Vec<Map<String, Value>> = serde_json::from_str(json).unwrap_or_default();
    if list.is_empty() {
        return "[]".to_owned();
    }
    let table = |table: &Map<String, Value>| {
        let name = table.get_key_value(NAME).into_iter();
        let rest = table.iter().filter(|(key, _)| *key != NAME);
        format!("    {},\n", toml_value::inline_table(name.chain(rest)))
    };
    format!("[\n{}]", list.iter().map(table).collect::<String>())
}

/// The key that every table has beside its options.
pub(super) const NAME: &str = "name";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ChannelOptionKeys, ProxyKeys};

    #[test]
    fn values_are_what_json_has() {
        let list: NamedList<ChannelOptionKeys> = r#"[
            {"name": "chat", "history_size": 10, "history_ttl": "300s", "presence": true},
            {"name": "news", "force_recovery_mode": "cache"}
        ]"#
        .parse()
        .unwrap();
        let [chat, news] = &list.0[..] else {
            panic!("two namespaces: {list:?}")
        };
        assert_eq!((chat.name.as_str(), news.name.as_str()), ("chat", "news"));
        let options = chat.keys.options();
        assert_eq!(options.history_size, 10);
        assert_eq!(options.history_ttl, std::time::Duration::from_secs(300));
        assert!(options.presence);
        assert!(!news.keys.options().presence);
    }

    #[test]
    fn a_table_can_have_lists_and_tables() {
        let list: NamedList<ProxyKeys> = r#"[{
            "name": "billing", "endpoint": "http://localhost:3000/centrifugo", "http_headers": ["Cookie", "X-Trace"],
            "http": {"static_headers": {"X-Key": "k"}}
        }]"#
        .parse()
        .unwrap();
        let proxy = &list.0[0].keys;
        let names: Vec<_> = proxy.http_headers.iter().map(|name| &*name.0).collect();
        assert_eq!(names, ["cookie", "x-trace"]);
        assert!(proxy.http.is_some());
        let error = r#"[{"name": "billing", "http_headers": [1]}]"#;
        let error = error.parse::<NamedList<ProxyKeys>>().unwrap_err();
        assert!(
            error.starts_with("proxy billing: http_headers: 1 does not fit"),
            "{error}"
        );
    }

    #[test]
    fn errors_name_the_namespace_and_the_option() {
        for (json, expected) in [
            ("{}", "\"{}\" is not a list of namespaces"),
            (r#"[{"presence": true}]"#, "a namespace needs a name"),
            (
                r#"[{"name": "chat", "presense": true}]"#,
                "namespace chat: unknown key presense; did you mean presence?",
            ),
            (
                r#"[{"name": "chat", "history_ttl": 300}]"#,
                "namespace chat: history_ttl: 300 does not fit; allowed: a number with ms, s, m or h",
            ),
            (
                r#"[{"name": "chat", "history_size": -1}]"#,
                "namespace chat: history_size: \"-1\" is not a number",
            ),
        ] {
            let error = json.parse::<NamedList<ChannelOptionKeys>>().unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn the_list_as_toml_is_one_table_a_line() {
        let json =
            r#"[{"history_size": 10, "name": "chat"}, {"name": "news", "channel_regex": "^\\d$"}]"#;
        assert_eq!(
            toml_array(json),
            "[\n    { name = \"chat\", history_size = 10 },\n    { name = \"news\", channel_regex = '^\\d$' },\n]"
        );
        assert_eq!(toml_array("[]"), "[]");
    }
}
