//! The configuration that is imported, as one tree.

use std::{fs, io, path::Path};

use serde_json::{Map, Value};

/// Reads a configuration of Centrifugo 6; `-` is stdin.
///
/// # Errors
/// One line that says why the file can't be taken.
pub(super) fn read(file: &Path) -> Result<Map<String, Value>, String> {
    let text = match file.to_str() {
        Some("-") => io::read_to_string(io::stdin()),
        _ => fs::read_to_string(file),
    };
    let text = text.map_err(|error| error.to_string())?;
    let extension = file.extension().unwrap_or_default().to_string_lossy();
    let format = match extension.as_ref() {
        // A JSON configuration is an object, and no TOML begins with one.
        "" if !text.trim_start().starts_with('{') => "toml",
        extension => extension,
    };
    let tree = match format {
        "yaml" | "yml" => {
            return Err(
                "YAML is not read; convert it first: yq -o json FILE.yaml > FILE.json".into(),
            );
        }
        "toml" => of_toml(&text)?,
        _ => serde_json::from_str(&text).map_err(|error| format!("not JSON: {error}"))?,
    };
    let Value::Object(tree) = tree else {
        return Err("not a configuration: it is not an object".to_owned());
    };
    match FLAT_KEYS.iter().find(|key| tree.contains_key(**key)) {
        Some(key) => Err(format!(
            "{key} at the top is a key of Centrifugo 5 or older; its guide for the migration to version 6 has a converter"
        )),
        None => Ok(tree),
    }
}

fn of_toml(text: &str) -> Result<Value, String> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| span.start);
        let line = 1 + text[..line.min(text.len())].matches('\n').count();
        let message = error.message().lines().next().unwrap_or_default();
        format!("{line}: not TOML: {message}")
    })
}

/// Keys that stood at the top up to version 5, and that most configurations have one of.
const FLAT_KEYS: &[&str] = &[
    "token_hmac_secret_key",
    "api_key",
    "allowed_origins",
    "namespaces",
    "history_size",
    "admin_password",
    "presence",
];
