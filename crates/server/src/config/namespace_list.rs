//! The list of namespaces: tables in the file, JSON elsewhere.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::{ChannelOptionKeys, key::Key, section, value::Shape};

/// The namespaces, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamespaceList(pub(crate) Vec<NamespaceEntry>);

/// One namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamespaceEntry {
    pub(crate) name: String,
    pub(crate) keys: ChannelOptionKeys,
}

impl FromStr for NamespaceList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let list: Vec<Map<String, Value>> =
            serde_json::from_str(text).map_err(|_| Shape::Namespaces.refuse(text))?;
        let keys = Key::all_of::<ChannelOptionKeys>();
        list.iter()
            .map(|table| entry(table, &keys))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn entry(table: &Map<String, Value>, keys: &[Key]) -> Result<NamespaceEntry, String> {
    let Some(Value::String(name)) = table.get(NAME) else {
        return Err("a namespace needs a name".to_owned());
    };
    let refuse = |message: String| format!("namespace {name}: {message}");
    let mut pairs = Vec::new();
    for (option, value) in table.iter().filter(|(option, _)| *option != NAME) {
        let key = keys.iter().find(|key| key.id() == option);
        let key = key.ok_or_else(|| refuse(unknown_option(option, keys)))?;
        let text = scalar(key.shape(), value).ok_or_else(|| {
            let allowed = key.shape().allowed();
            refuse(format!(
                "{option}: {value} does not fit; allowed: {allowed}"
            ))
        })?;
        let checked = key.shape().check(&text);
        checked.map_err(|message| refuse(format!("{option}: {message}")))?;
        pairs.push((option.clone(), text));
    }
    Ok(NamespaceEntry {
        name: name.clone(),
        keys: section::read(&pairs).map_err(|error| refuse(error.to_string()))?,
    })
}

/// Returns what to say about an option that doesn't exist.
pub(super) fn unknown_option(option: &str, keys: &[Key]) -> String {
    let names: Vec<_> = keys.iter().map(Key::id).collect();
    let hint = match super::suggest::nearest(option, &names) {
        Some(name) => format!("; did you mean {name}?"),
        None => String::new(),
    };
    let allowed = names.join(", ");
    format!("unknown key {option}{hint}; allowed here: {NAME}, {allowed}")
}

fn scalar(shape: Shape, value: &Value) -> Option<String> {
    match value {
        Value::String(text) if shape.takes_string() => Some(text.clone()),
        Value::Number(number) if shape.takes_integer() => Some(number.to_string()),
        Value::Bool(value) if shape.takes_boolean() => Some(value.to_string()),
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
        let pairs = name.chain(rest).map(|(key, value)| {
            let value = match value {
                Value::String(text) => toml::Value::String(text.clone()).to_string(),
                other => other.to_string(),
            };
            format!("{key} = {value}")
        });
        format!("    {{ {} }},\n", pairs.collect::<Vec<_>>().join(", "))
    };
    format!("[\n{}]", list.iter().map(table).collect::<String>())
}

/// The key that every namespace has beside its options.
pub(super) const NAME: &str = "name";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_json_has() {
        let list: NamespaceList = r#"[
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
            let error = json.parse::<NamespaceList>().unwrap_err();
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
