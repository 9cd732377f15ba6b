//! What becomes of each setting.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{advice, go_duration, toml_text};
use crate::config::{HubConfig, key::Key, map_table, section, shape::Shape};

/// A configuration of Centrifugo 6, translated.
pub(super) struct Translation {
    keys: Vec<Key>,
    /// Values by the path of the key.
    values: Map<String, Value>,
    /// Lists of tables by the path of the key.
    lists: BTreeMap<String, Vec<Map<String, Value>>>,
    /// Paths of settings without a counterpart, and what to do about them. No path comes twice.
    notes: Vec<(String, String)>,
}

impl Translation {
    /// Translates the configuration.
    pub(super) fn of(source: &Map<String, Value>) -> Self {
        let mut translation = Self {
            keys: Key::all(),
            values: Map::new(),
            lists: BTreeMap::new(),
            notes: Vec::new(),
        };
        translation.server(source.get("http_server"));
        for (name, value) in source {
            translation.setting(name, value);
        }
        // Dashboards know the metrics by this name.
        if translation.values.get("prometheus.enabled") == Some(&Value::Bool(true)) {
            translation.set("prometheus.name_prefix", "centrifugo".into());
        }
        translation.leave_out_hooks();
        translation.check();
        translation
    }

    /// Returns the configuration file.
    pub(super) fn toml(&self, origin: &str) -> String {
        let head = format!(
            "# Made from {origin} by `sockeye config import`. What is not here has its default.\n\n"
        );
        toml_text::file(&head, &self.keys, &self.values, &self.lists)
    }

    /// Returns the paths of settings without a counterpart, each with what to do.
    pub(super) fn notes(&self) -> &[(String, String)] {
        &self.notes
    }

    /// Translates where the server listens, and its certificate: their defaults and names are other ones.
    fn server(&mut self, server: Option<&Value>) {
        let field = |name: &str| server.and_then(|server| server.get(name));
        let host = field("address").and_then(Value::as_str).unwrap_or_default();
        let host = match host {
            "" => "0.0.0.0".to_owned(),
            host if host.contains(':') => format!("[{host}]"),
            host => host.to_owned(),
        };
        let port = match field("port") {
            Some(Value::String(port)) => port.clone(),
            Some(Value::Number(port)) => port.to_string(),
            _ => "8000".to_owned(),
        };
        let address = format!("{host}:{port}");
        match Shape::Addr.check(&address) {
            Ok(()) => self.set("listen", vec![Value::from(address)].into()),
            Err(message) => self.note("http_server.address", &message),
        }
        let tls = field("tls").filter(|tls| tls.get("enabled") == Some(&Value::Bool(true)));
        for (theirs, ours) in [("cert_pem", "tls.cert"), ("key_pem", "tls.key")] {
            match tls.and_then(|tls| tls.get(theirs)).and_then(Value::as_str) {
                // A key that stands in the file itself must not come into another one by the way.
                Some(pem) if pem.contains("-----BEGIN") || pem.len() > 1000 => self.note(
                    &format!("http_server.tls.{theirs}"),
                    &format!("write it to a file, and name the file in {ours}"),
                ),
                Some(file) if !file.is_empty() => self.set(ours, file.into()),
                _ => {}
            }
        }
    }

    /// Translates a setting and all below it.
    fn setting(&mut self, path: &str, value: &Value) {
        match path {
            "http_server.address" | "http_server.port" => return,
            "http_server.tls.enabled" | "http_server.tls.cert_pem" | "http_server.tls.key_pem" => {
                return;
            }
            "log.level" => return self.log_level(value),
            // Nothing is how Centrifugo writes `sub`.
            "client.token.user_id_claim" | "client.subscription_token.user_id_claim"
                if is_off(value) =>
            {
                return;
            }
            _ => {}
        }
        let renamed = RENAMED.iter().find(|(theirs, _)| *theirs == path);
        let path = renamed.map_or(path, |renamed| renamed.1);
        let key = self
            .keys
            .iter()
            .find(|key| key.path().as_deref() == Some(path));
        let shape = key.map(Key::shape);
        if let Some(table_keys) = shape.and_then(Shape::table_keys) {
            let noun = shape.map_or("", Shape::table_noun);
            return self.tables(path, noun, value, &table_keys);
        }
        let is_table = shape.is_some_and(Shape::takes_table);
        if let (Value::Object(section), false) = (value, is_table) {
            let is_off = section.get("enabled") != Some(&Value::Bool(true));
            let is_switch = || {
                self.keys
                    .iter()
                    .any(|key| key.path().as_deref() == Some(&format!("{path}.enabled")))
            };
            if advice::is_detail(path) || is_off && advice::is_optional(path) && !is_switch() {
                return;
            }
            for (name, value) in section {
                self.setting(&format!("{path}.{name}"), value);
            }
            return;
        }
        let key = self
            .keys
            .iter()
            .find(|key| key.path().as_deref() == Some(path));
        match key.map(|key| translated(key, value)) {
            Some(Translated { value, note }) => {
                if let Some(value) = value {
                    self.set(path, value);
                }
                if let Some(note) = note {
                    self.note(path, &note);
                }
            }
            None => self.unknown(path, value),
        }
    }

    fn log_level(&mut self, value: &Value) {
        let level = match value.as_str() {
            Some("fatal" | "panic") => "error",
            Some("none" | "disabled") => "off",
            Some(level) => level,
            None => "",
        };
        match Shape::Filter.check(level) {
            Ok(()) if level == "info" => {}
            Ok(()) => self.set("log.filter", level.into()),
            Err(message) => self.note("log.level", &message),
        }
    }

    /// Translates a list of tables with a name each.
    fn tables(&mut self, list: &str, noun: &str, value: &Value, keys: &[Key]) {
        for table in value.as_array().into_iter().flatten() {
            let name = table.get("name").and_then(Value::as_str);
            let (Some(name), Value::Object(options)) = (name, table) else {
                self.note(list, &format!("a {noun} without a name is left out"));
                continue;
            };
            let mut translated_options = Map::new();
            translated_options.insert("name".to_owned(), name.into());
            for (option, value) in options.iter().filter(|(option, _)| *option != "name") {
                let path = format!("{list}[{name}].{option}");
                let key = keys.iter().find(|key| key.id() == option);
                match key.map(|key| translated(key, value)) {
                    Some(Translated { value, note }) => {
                        if let Some(value) = value {
                            translated_options.insert(option.clone(), value);
                        }
                        if let Some(note) = note {
                            self.note(&path, &note);
                        }
                    }
                    None => self.unknown(&path, value),
                }
            }
            let tables = self.lists.entry(list.to_owned()).or_default();
            tables.push(translated_options);
        }
    }

    /// Notes a setting that we don't have, unless it changes nothing.
    fn unknown(&mut self, path: &str, value: &Value) {
        if let Value::Object(section) = value {
            for (name, value) in section {
                self.unknown(&format!("{path}.{name}"), value);
            }
        } else if !is_off(value) && !advice::is_default(path, value) {
            let (path, text) = advice::of(path);
            self.note(&path, text);
        }
    }

    /// Notes what our rules refuse, so that the file that comes out doesn't surprise at the start.
    fn check(&mut self) {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for key in &self.keys {
            let value = key.path().and_then(|path| self.values.get(&path).cloned());
            let items = match value {
                Some(Value::Array(items)) => items,
                Some(value) => vec![value],
                None => Vec::new(),
            };
            pairs.extend(items.iter().map(|item| (key.id().to_owned(), plain(item))));
        }
        for (path, tables) in &self.lists {
            let json = serde_json::json!(tables).to_string();
            pairs.push((path.replace('.', "_"), json));
        }
        let refusals = match section::read(&pairs) {
            Ok(config) => HubConfig::errors(&config),
            Err(error) => vec![error.to_string()],
        };
        for (place, reason) in refusals.iter().filter_map(|text| text.split_once(": ")) {
            self.note(place, &format!("Sockeye refuses this: {reason}"));
        }
    }

    /// Leaves out the hooks whose endpoint could not be translated: a hook that is on needs one.
    fn leave_out_hooks(&mut self) {
        for section in ["client.proxy.connect", "client.proxy.refresh"] {
            let is_on = self.values.get(&format!("{section}.enabled")) == Some(&Value::Bool(true));
            if is_on && !self.values.contains_key(&format!("{section}.endpoint")) {
                self.values
                    .retain(|path, _| !path.starts_with(&format!("{section}.")));
                self.note(&format!("{section}.enabled"), NO_ENDPOINT);
            }
        }
        let mut lists = std::mem::take(&mut self.lists);
        if let Some(proxies) = lists.get_mut("proxies") {
            proxies.retain(|proxy| proxy.contains_key("endpoint"));
        }
        let proxies = lists.get("proxies").into_iter().flatten();
        let names: Vec<Value> = proxies.map(|proxy| proxy["name"].clone()).collect();
        for (section, kind, default) in [
            ("channel", "subscribe_", "channel.proxy.subscribe"),
            ("channel", "publish_", "channel.proxy.publish"),
            ("channel", "sub_refresh_", "channel.proxy.sub_refresh"),
            ("rpc", "", "rpc.proxy"),
        ] {
            let (enabled, name) = (format!("{kind}proxy_enabled"), format!("{kind}proxy_name"));
            let has_default = self.values.contains_key(&format!("{default}.endpoint"));
            let is_left_out = |is_on: Option<&Value>, named: Option<&Value>| {
                let has_endpoint = named.map_or(has_default, |named| names.contains(named));
                (is_on.is_some() || named.is_some()) && !has_endpoint
            };
            let without = format!("{section}.without_namespace");
            let [enabled_path, name_path] = [&enabled, &name].map(|key| format!("{without}.{key}"));
            if is_left_out(self.values.get(&enabled_path), self.values.get(&name_path)) {
                self.values
                    .retain(|path, _| *path != enabled_path && *path != name_path);
                self.note(&enabled_path, NO_ENDPOINT);
            }
            let list = format!("{section}.namespaces");
            for namespace in lists.get_mut(&list).into_iter().flatten() {
                if is_left_out(namespace.get(&enabled), namespace.get(&name)) {
                    namespace.retain(|key, _| *key != enabled && *key != name);
                    let namespace = plain(&namespace["name"]);
                    self.note(&format!("{list}[{namespace}].{enabled}"), NO_ENDPOINT);
                }
            }
        }
        self.leave_out_map_hooks(&mut lists, &names);
        self.lists = lists;
    }

    /// Leaves out those of changes of maps, too, which are in a table of the options.
    fn leave_out_map_hooks(
        &mut self,
        lists: &mut BTreeMap<String, Vec<Map<String, Value>>>,
        names: &[Value],
    ) {
        for (hook, default) in [
            ("publish_proxy", "channel.proxy.map_publish"),
            ("remove_proxy", "channel.proxy.map_remove"),
        ] {
            let [enabled, name] = ["enabled", "name"].map(|key| format!("{hook}_{key}"));
            let has_default = self.values.contains_key(&format!("{default}.endpoint"));
            let leave_out = |map: Option<&mut Value>| {
                let table = map.and_then(Value::as_object_mut);
                let Some(table) = table.filter(|table| table.contains_key(&enabled)) else {
                    return false;
                };
                let named = table.get(&name).filter(|name| *name != "default");
                let has_endpoint = named.map_or(has_default, |named| names.contains(named));
                if !has_endpoint {
                    table.retain(|key, _| *key != enabled && *key != name);
                }
                !has_endpoint
            };
            let without = "channel.without_namespace.map";
            if leave_out(self.values.get_mut(without)) {
                drop_empty(&mut self.values, without);
                self.note(&format!("{without}.{enabled}"), NO_ENDPOINT);
            }
            for namespace in lists.get_mut("channel.namespaces").into_iter().flatten() {
                if leave_out(namespace.get_mut("map")) {
                    drop_empty(namespace, "map");
                    let namespace = plain(&namespace["name"]);
                    let path = format!("channel.namespaces[{namespace}].map.{enabled}");
                    self.note(&path, NO_ENDPOINT);
                }
            }
        }
    }

    fn set(&mut self, path: &str, value: Value) {
        self.values.insert(path.to_owned(), value);
    }

    fn note(&mut self, path: &str, text: &str) {
        if !self.notes.iter().any(|(noted, _)| noted == path) {
            self.notes.push((path.to_owned(), text.to_owned()));
        }
    }
}

/// Removes a table that has nothing in it any more.
fn drop_empty(values: &mut Map<String, Value>, path: &str) {
    let table = values.get(path).and_then(Value::as_object);
    if table.is_some_and(Map::is_empty) {
        values.remove(path);
    }
}

/// A value as ours.
struct Translated {
    /// `None` if it is our default, means that there is none, or can't be had.
    value: Option<Value>,
    /// What could not be translated.
    note: Option<String>,
}

fn translated(key: &Key, value: &Value) -> Translated {
    if let (true, Value::Array(items)) = (key.is_list(), value) {
        return translated_list(key, items);
    }
    match translated_value(key, value) {
        Ok(value) => Translated { value, note: None },
        Err(message) => Translated {
            value: None,
            note: Some(message),
        },
    }
}

/// Returns what of a list can be ours. One bad item doesn't take the others with it.
fn translated_list(key: &Key, items: &[Value]) -> Translated {
    let check = |item: &&Value| key.shape().check(&plain(item));
    let good: Vec<Value> = items
        .iter()
        .filter(|item| check(item).is_ok())
        .cloned()
        .collect();
    let bad: Vec<String> = items.iter().filter_map(|item| check(&item).err()).collect();
    Translated {
        value: (!good.is_empty()).then(|| good.into()),
        note: (!bad.is_empty()).then(|| format!("left out: {}", bad.join("; "))),
    }
}

fn translated_value(key: &Key, value: &Value) -> Result<Option<Value>, String> {
    let shape = key.shape();
    let value = match (shape, value) {
        (Shape::Period | Shape::LongPeriod | Shape::Term, Value::String(text)) => {
            let time = go_duration::parse(text)
                .ok_or_else(|| format!("{text:?} is not a length of time"))?;
            // What is a length of time here too stays as it was written.
            match shape.check(text) {
                Ok(()) => value.clone(),
                Err(_) => go_duration::ours(time).into(),
            }
        }
        (Shape::ProxyHttp, _) => pruned(value),
        (Shape::MapTable, Value::Object(table)) => {
            let time = |value: &Value| {
                let time = match value {
                    Value::String(text) => go_duration::parse(text)?,
                    // A number is nanoseconds, as in Go.
                    other => std::time::Duration::from_nanos(other.as_u64()?),
                };
                Some(go_duration::ours(time))
            };
            map_table::of_centrifugo(table, time)?.into()
        }
        // A number is nanoseconds, as in Go.
        (Shape::Period | Shape::LongPeriod | Shape::Term, Value::Number(number)) => {
            let nanoseconds = number
                .as_u64()
                .ok_or_else(|| format!("{number} is not a length of time"))?;
            go_duration::ours(std::time::Duration::from_nanos(nanoseconds)).into()
        }
        (Shape::Switch, Value::Bool(_)) => value.clone(),
        (Shape::Switch, Value::String(text)) => Value::Bool(matches!(text.as_str(), "true" | "1")),
        (Shape::Count | Shape::Number | Shape::Size, Value::String(text)) => text
            .parse::<u64>()
            .map_or_else(|_| value.clone(), Value::from),
        _ => value.clone(),
    };
    let text = plain(&value);
    let defaults = key.defaults();
    let is_default = match (shape, defaults.first()) {
        (Shape::Switch, Some(default)) => (text == "true") == (default == "on"),
        (Shape::Size, Some(default)) => bytes(&text) == bytes(default),
        (Shape::MapTable, _) => is_off(&value),
        (Shape::Period | Shape::LongPeriod | Shape::Term, Some(default)) => {
            go_duration::parse(&text) == go_duration::parse(default)
        }
        (_, Some(default)) => *default == text,
        (_, None) => is_off(&value),
    };
    if is_default {
        return Ok(None);
    }
    match shape.check(&text) {
        Ok(()) => Ok(Some(value)),
        // 0 and nothing are how Centrifugo writes "its default".
        Err(_) if is_off(&value) => Ok(None),
        Err(message) => Err(message),
    }
}

/// Returns a table without what is off or nothing, such as the TLS that a configuration lists and does not use.
fn pruned(value: &Value) -> Value {
    match value {
        Value::Object(fields) if fields.get("enabled") == Some(&Value::Bool(false)) => Value::Null,
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), pruned(value)));
            fields.filter(|(_, value)| !is_off(value)).collect()
        }
        Value::Array(items) => items.iter().map(pruned).collect(),
        other => other.clone(),
    }
}

fn bytes(text: &str) -> Option<usize> {
    text.parse::<crate::config::Bytes>()
        .ok()
        .map(|bytes| bytes.0)
}

/// Returns whether the value switches something off, or sets nothing.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => {
            text.is_empty() || go_duration::parse(text).is_some_and(|time| time.is_zero())
        }
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// Returns the value as a flag would have it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Settings that have another name here.
const RENAMED: &[(&str, &str)] = &[("shutdown.timeout", "drain.timeout")];

const NO_ENDPOINT: &str = "the hook is left out, since there is no endpoint to ask over HTTP";
