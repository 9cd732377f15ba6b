//! JSON as TOML on one line.

use serde_json::Value;

/// Returns the value as TOML. TOML has no null, which is left out of tables and lists.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => toml::Value::String(text.clone()).to_string(),
        Value::Array(items) => {
            let items = items.iter().filter(|item| !item.is_null());
            let items: Vec<_> = items.map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => inline_table(fields),
        other => other.to_string(),
    }
}

/// Returns the fields as an inline table.
pub(super) fn inline_table<'a>(
    fields: impl IntoIterator<Item = (&'a String, &'a Value)>,
) -> String {
    let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
    let fields: Vec<_> = fields
        .map(|(name, value)| format!("{} = {}", key(name), inline(value)))
        .collect();
    match fields.is_empty() {
        true => "{}".to_owned(),
        false => format!("{{ {} }}", fields.join(", ")),
    }
}

/// Returns a key, in quotes if it isn't a bare one.
fn key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    match !name.is_empty() && name.bytes().all(is_bare) {
        true => name.to_owned(),
        false => toml::Value::String(name.to_owned()).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_what_toml_reads() {
        let value = json!({
            "static_headers": { "X-Key": "a \"b\"", "odd name": "'" },
            "codes": [1, 2], "empty": {}, "on": true,
        });
        let text = format!("value = {}", inline(&value));
        assert!(!text.contains('\n'));
        let read: Value = toml::from_str(&text).unwrap();
        assert_eq!(read["value"], value);
        assert_eq!(inline(&json!({ "nothing": null })), "{}");
    }
}
