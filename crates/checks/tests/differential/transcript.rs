//! What was received, made comparable.

use std::collections::BTreeMap;

use serde_json::{Map, Value, value::RawValue};

use super::http::{Answer, Head};

/// One thing that a client received, or the answer to a request.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Value(Value),
    /// What isn't a message of the protocol: how a connection ended.
    Note(String),
    /// A status with its fields, and a body in JSON.
    Answer(String, Value),
}

impl Message {
    /// Returns an HTTP response as a message.
    pub(crate) fn answer(answer: &Answer) -> Self {
        let head = head_of_answer(&answer.head);
        let lines = answer.body.split('\n').filter(|line| !line.is_empty());
        let lines: Option<Vec<Value>> = lines.map(canonical).collect();
        match lines {
            // The text of a refusal is for people.
            lines if answer.head.status >= 400 && !lines.as_deref().is_some_and(has_code) => {
                Self::Note(refusal_of(&answer.head))
            }
            Some(lines) if !lines.is_empty() => Self::Answer(head, lines.into()),
            _ => Self::Note(format!("{head} {:?}", answer.body)),
        }
    }

    pub(crate) fn value(&self) -> Option<&Value> {
        match self {
            Self::Value(value) | Self::Answer(_, value) => Some(value),
            Self::Note(_) => None,
        }
    }
}

/// Returns whether a body is an error of the server API, which has a number.
fn has_code(lines: &[Value]) -> bool {
    let first = lines.first();
    let error = first.map(|first| first.get("error").unwrap_or(first));
    error.is_some_and(|error| error["code"].is_u64())
}

/// Returns what an API client sees of a head.
fn head_of_answer(head: &Head) -> String {
    format!(
        "{} {}{}",
        head.status,
        head.field("content-type"),
        cross_origin(head)
    )
}

fn refusal_of(head: &Head) -> String {
    format!("{}{}", head.status, cross_origin(head))
}

/// Returns what the reader of a stream, and the proxies before it, see of a head. Other fields are free: type and cache
/// control of a stream are named in other words by each server.
pub(crate) fn head_of_stream(head: &Head) -> String {
    let buffering = head.field("x-accel-buffering");
    format!(
        "{}; x-accel-buffering: {buffering}{}",
        head.status,
        cross_origin(head)
    )
}

/// Returns what a browser sees that asks for a page of another origin.
fn cross_origin(head: &Head) -> String {
    let names = ["origin", "credentials", "headers"];
    let names = names.map(|name| format!("access-control-allow-{name}"));
    if head.field(&names[0]).is_empty() {
        return String::new();
    }
    let fields = names
        .iter()
        .map(|name| format!("; {name}: {}", head.field(name)));
    fields.collect()
}

/// Reads JSON, with payloads left as the text that they are; `None` if it isn't JSON.
pub(crate) fn canonical(text: &str) -> Option<Value> {
    let text = text.trim();
    if text.starts_with('{') {
        let object: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).ok()?;
        let object: Option<Map<String, Value>> = object
            .into_iter()
            .map(|(name, value)| {
                let value = match PAYLOADS.contains(&name.as_str()) {
                    true => Value::String(value.get().to_owned()),
                    false => canonical(value.get())?,
                };
                Some((name, value))
            })
            .collect();
        return object.map(Value::Object);
    }
    if text.starts_with('[') {
        let array: Vec<Box<RawValue>> = serde_json::from_str(text).ok()?;
        let array: Option<Vec<Value>> = array.iter().map(|value| canonical(value.get())).collect();
        return array.map(Value::Array);
    }
    serde_json::from_str(text).ok()
}

/// Makes lines of messages, without what differs from run to run.
pub(crate) struct Normalizer {
    /// Ids, and how they are called.
    ids: BTreeMap<String, String>,
}

impl Normalizer {
    /// Takes the clients' ids, by their letters.
    pub(crate) fn new(clients: impl Iterator<Item = (char, String)>) -> Self {
        let ids = clients.map(|(letter, id)| (id, format!("<client {letter}>")));
        Self { ids: ids.collect() }
    }

    pub(crate) fn line(&mut self, message: &Message) -> String {
        match message {
            Message::Note(text) => text.clone(),
            Message::Value(value) => self.value("", value).to_string(),
            Message::Answer(head, value) => format!("{head} {}", self.value("", value)),
        }
    }

    fn value(&mut self, name: &str, value: &Value) -> Value {
        match value {
            Value::Object(object) => {
                let is_by_client = name == "presence";
                let is_delta = object.get("delta") == Some(&Value::Bool(true));
                let entries = object.iter().map(|(key, value)| {
                    let value = match is_delta && key == "data" {
                        // There are many differences between two texts.
                        true => "<difference>".into(),
                        false => self.value(key, value),
                    };
                    let key = match is_by_client {
                        true => self.id("client", key),
                        false => key.clone(),
                    };
                    (key, value)
                });
                sorted(entries.collect())
            }
            Value::Array(array) => array.iter().map(|value| self.value("", value)).collect(),
            Value::String(text) if text.is_empty() => value.clone(),
            Value::String(text) if PAYLOADS.contains(&name) => unescaped(text).into(),
            Value::String(text) => match name {
                "client" | "session" | "node" | "uid" => self.id(name, text).into(),
                // An entry of a map can have a client's id for its key.
                "key" => self.ids.get(text).unwrap_or(text).as_str().into(),
                "epoch" | "version" | "name" => format!("<{name}>").into(),
                _ => value.clone(),
            },
            Value::Number(number) => match name {
                // Seconds may pass meanwhile: to the next ten.
                "ttl" => match number.as_u64() {
                    Some(ttl) => format!("<ttl {}>", ttl.div_ceil(10) * 10).into(),
                    None => value.clone(),
                },
                "time" | "uptime" => format!("<{name}>").into(),
                _ => value.clone(),
            },
            _ => value.clone(),
        }
    }

    fn id(&mut self, kind: &str, id: &str) -> String {
        let next = self.ids.len();
        let named = self.ids.entry(id.to_owned());
        named.or_insert_with(|| format!("<{kind} {next}>")).clone()
    }
}

/// Returns a payload without the escapes that one server makes and the other doesn't.
fn unescaped(payload: &str) -> String {
    let escapes = [
        ("\\u003c", "<"),
        ("\\u003e", ">"),
        ("\\u0026", "&"),
        ("\\u2028", "\u{2028}"),
    ];
    let payload = payload.to_owned();
    escapes.iter().fold(payload, |payload, (escape, letter)| {
        payload.replace(escape, letter)
    })
}

/// Returns an object whose names are in order, whatever order the map keeps.
fn sorted(entries: BTreeMap<String, Value>) -> Value {
    Value::Object(entries.into_iter().collect())
}

/// Fields whose value is the application's, and is passed on as it is.
const PAYLOADS: [&str; 4] = ["data", "conn_info", "chan_info", "prev_data"];
