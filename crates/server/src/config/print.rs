//! The configuration as text: a file of defaults, the reference, the result of a check.

use std::fmt::Write as _;

use super::{Loaded, key::Key, named_list, shape::Shape, toml_value};

/// Returns a configuration file with the defaults. Keys without a default are comments.
pub(crate) fn defaults() -> String {
    let mut text = String::from(
        "# Defaults of `sockeye serve`. Every key is also a flag and an environment variable: see `sockeye config reference` for\n\
         # their names.\n",
    );
    let mut section = None;
    for key in Key::all().iter().filter(|key| key.path().is_some()) {
        if key.section() != section {
            section = key.section();
            let _ = write!(text, "\n[{}]\n", section.unwrap_or_default());
        }
        let _ = writeln!(text, "\n# {}.", key.help());
        let _ = writeln!(text, "# Allowed: {}.", key.shape().allowed());
        match key.defaults() {
            values if values.is_empty() => {
                let value = match key.shape().takes_string() {
                    true => "\"…\"",
                    false => "…",
                };
                let _ = writeln!(text, "# {} = {value}", key.name());
            }
            values => {
                let _ = writeln!(text, "{} = {}", key.name(), toml_text(key, &values));
            }
        }
    }
    text
}

/// Returns the reference of all keys in Markdown.
pub(crate) fn reference() -> String {
    let mut text = String::from(REFERENCE_HEAD);
    let mut section = None;
    for key in &Key::all() {
        if key.section() != section {
            section = key.section();
            let _ = write!(text, "\n## [{}]\n", section.unwrap_or_default());
        }
        let _ = write!(
            text,
            "\n### {}\n\n{}.\n\n",
            key.path().as_deref().unwrap_or(key.name()),
            key.help()
        );
        let list = if key.is_list() {
            " A list in the file, separated by commas in the environment."
        } else {
            ""
        };
        let _ = writeln!(text, "- Allowed: {}.{list}", key.shape().allowed());
        match key.defaults() {
            values if values.is_empty() => text.push_str("- Default: none.\n"),
            values => {
                let _ = writeln!(text, "- Default: `{}`.", values.join(","));
            }
        }
        let file = match key.path() {
            Some(_) => format!(
                ", file `{} = …`{}",
                key.name(),
                section
                    .map(|section| format!(" under `[{section}]`"))
                    .unwrap_or_default()
            ),
            None => String::new(),
        };
        let _ = writeln!(
            text,
            "- Flag `--{}`, environment `{}`{file}.",
            key.flag(),
            key.env()
        );
    }
    text
}

const REFERENCE_HEAD: &str = "\
# Configuration

<!-- Printed by `sockeye config reference`; a test compares. -->

`sockeye serve` takes each value from its flag, else from the environment, else from the file, else it is the
default. The file is `sockeye.toml` in the working directory if it is there, or the one that `--config` names.
`sockeye config check` reads all of them as `serve` would and says where each value comes from;
`sockeye config default` prints a file to start from. An unknown key or a bad value is one line that names the
file, the line, the key and what is allowed, and exit code 2. The check reads the certificate and its key too.

SIGHUP has a running server read all of it again and use the certificate, its key and `log.filter` from then on; what
else has changed holds from the next start on. What can't be read is logged, and the server goes on with what it had.
";

/// Returns all values with their origins, as a valid configuration file.
pub(crate) fn checked(loaded: &Loaded) -> String {
    let mut text = String::new();
    let mut section = None;
    for key in Key::all().iter().filter(|key| key.path().is_some()) {
        if key.section() != section {
            section = key.section();
            let _ = write!(text, "\n[{}]\n", section.unwrap_or_default());
        }
        let values = loaded
            .values
            .get(key.id())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let origin = loaded.origins.get(key.id());
        let origin = origin.map_or_else(|| "default".to_owned(), ToString::to_string);
        if values.is_empty() {
            let _ = writeln!(text, "# {} is not set", key.name());
        } else if values.iter().any(|value| key.shape().is_secret(value)) {
            let _ = writeln!(text, "# {} is set and not shown: {origin}", key.name());
        } else {
            let line = format!("{} = {}", key.name(), toml_text(key, values));
            let _ = writeln!(text, "{line:<36} # {origin}");
        }
    }
    text
}

fn toml_text(key: &Key, values: &[String]) -> String {
    let quoted = |text: &String| match key.shape() {
        Shape::Count | Shape::Number => text.clone(),
        shape if shape.table_keys().is_some() => named_list::toml_array(text),
        Shape::ProxyHttp => serde_json::from_str(text)
            .map_or_else(|_| text.clone(), |table| toml_value::inline(&table)),
        _ => toml::Value::String(text.clone()).to_string(),
    };
    match key.is_list() {
        true => format!(
            "[{}]",
            values.iter().map(quoted).collect::<Vec<_>>().join(", ")
        ),
        false => values.first().map(quoted).unwrap_or_default(),
    }
}
