//! The configuration as TOML that a person would write.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Map, Value};

use crate::config::{key::Key, toml_value::inline};

/// Returns a file with these values and lists of tables, of keys by their path. `keys` decides the order.
pub(super) fn file(
    head: &str,
    keys: &[Key],
    values: &Map<String, Value>,
    lists: &BTreeMap<String, Vec<Map<String, Value>>>,
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
        let _ = writeln!(text, "{} = {}", key.name(), inline(value));
    }
    for (path, tables) in lists {
        for table in tables {
            let _ = write!(text, "\n[[{path}]]\n");
            let name = table.get_key_value("name").into_iter();
            let options = table.iter().filter(|(option, _)| *option != "name");
            for (option, value) in name.chain(options) {
                let _ = writeln!(text, "{option} = {}", inline(value));
            }
        }
    }
    text
}
