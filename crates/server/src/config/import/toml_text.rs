//! The configuration as TOML that a person would write.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::config::key::Key;

/// Returns a file with these values, of keys by their path, and these namespaces. `keys` decides the order.
pub(super) fn file(
    head: &str,
    keys: &[Key],
    values: &Map<String, Value>,
    namespaces: &[Map<String, Value>],
) -> String {
    let mut text = head.to_owned();
    let mut section = None;
    for key in keys {
        let Some(value) = key.path().and_then(|path| values.get(&path)) else {
            continue;
        };
        if key.section() != section {
            section = key.section();
            let _ = write!(text, "\n[{}]\n", section.unwrap_or_default());
        }
        let _ = writeln!(text, "{} = {}", key.name(), literal(value));
    }
    for namespace in namespaces {
        text.push_str("\n[[channel.namespaces]]\n");
        let name = namespace.get_key_value("name").into_iter();
        let options = namespace.iter().filter(|(option, _)| *option != "name");
        for (option, value) in name.chain(options) {
            let _ = writeln!(text, "{option} = {}", literal(value));
        }
    }
    text
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => toml::Value::String(text.clone()).to_string(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(literal).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}
