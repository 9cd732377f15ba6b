//! The arguments of a client's event, one after the other.

use axum::body::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use sockeye::socketio::AnyArgs;
use sockeye_hub::wire;

/// What is left of an event's arguments.
pub(super) struct Arguments {
    values: std::vec::IntoIter<Value>,
    attachments: Vec<Bytes>,
}

/// An event has other arguments than the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadArguments;

/// What a client sends as `auth`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Auth {
    pub(super) token: String,
    /// For the application.
    pub(super) data: Value,
    pub(super) name: String,
    pub(super) version: String,
    /// The id of the connection that was lost, and the last argument of its last event: the client adds them.
    pub(super) pid: Value,
    pub(super) offset: Value,
}

/// How a client subscribes.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SubscribeOptions {
    pub(super) token: String,
    /// For the application.
    pub(super) data: Value,
    pub(super) since: Option<Position>,
}

/// What a client reads of a history.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct HistoryOptions {
    pub(super) limit: i32,
    pub(super) since: Option<Position>,
    pub(super) reverse: bool,
}

/// A position in a channel's history.
#[derive(Deserialize)]
pub(super) struct Position {
    pub(super) offset: u64,
    pub(super) epoch: String,
}

impl Arguments {
    pub(super) fn new(args: AnyArgs) -> Self {
        Self {
            values: args.values.into_iter(),
            attachments: args.attachments,
        }
    }

    /// Returns the next argument.
    ///
    /// # Errors
    ///
    /// It is missing, or isn't a `T`.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<T, BadArguments> {
        let value = self.values.next().ok_or(BadArguments)?;
        serde_json::from_value(value).map_err(|_| BadArguments)
    }

    /// Returns the next argument, or the default if it is missing or null.
    ///
    /// # Errors
    ///
    /// It isn't a `T`.
    pub(super) fn optional<T: DeserializeOwned + Default>(&mut self) -> Result<T, BadArguments> {
        match self.values.next() {
            None | Some(Value::Null) => Ok(T::default()),
            Some(value) => serde_json::from_value(value).map_err(|_| BadArguments),
        }
    }

    /// Returns the next argument as the hub has payloads: the bytes of an attachment, or JSON.
    ///
    /// # Errors
    ///
    /// It is missing, or an attachment is a part of it: the hub has no form for both.
    pub(super) fn payload(&mut self) -> Result<Bytes, BadArguments> {
        let value = self.values.next().ok_or(BadArguments)?;
        if self.attachments.is_empty() {
            return Ok(value.to_string().into());
        }
        let number = match (value.get("_placeholder"), value.get("num")) {
            (Some(Value::Bool(true)), Some(number)) => number.as_u64().ok_or(BadArguments)?,
            _ => return Err(BadArguments),
        };
        let number = usize::try_from(number).map_err(|_| BadArguments)?;
        self.attachments.get(number).cloned().ok_or(BadArguments)
    }

    /// Returns [`Arguments::payload`], or nothing if it is missing.
    ///
    /// # Errors
    ///
    /// An attachment is a part of it.
    pub(super) fn optional_payload(&mut self) -> Result<Bytes, BadArguments> {
        match self.values.len() {
            0 => Ok(Bytes::new()),
            _ => self.payload(),
        }
    }
}

/// Returns a payload for the application; nothing if there is none.
pub(super) fn app_data(value: &Value) -> Bytes {
    match value {
        Value::Null => Bytes::new(),
        value => value.to_string().into(),
    }
}

impl From<Position> for wire::StreamPosition {
    fn from(position: Position) -> Self {
        Self {
            offset: position.offset,
            epoch: position.epoch,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(values: Value, attachments: &[&'static [u8]]) -> Arguments {
        let Value::Array(values) = values else {
            panic!("no list");
        };
        Arguments::new(AnyArgs {
            values,
            attachments: attachments
                .iter()
                .copied()
                .map(Bytes::from_static)
                .collect(),
        })
    }

    #[test]
    fn a_payload_is_json_or_an_attachment() {
        let mut json = arguments(json!([{ "a": [1] }, null]), &[]);
        assert_eq!(json.payload().unwrap(), r#"{"a":[1]}"#);
        assert_eq!(json.payload().unwrap(), "null");
        assert_eq!(json.payload(), Err(BadArguments));
        assert_eq!(json.optional_payload().unwrap(), "");
        let placeholder = json!({ "_placeholder": true, "num": 1 });
        let mut binary = arguments(json!(["ch", placeholder]), &[b"0", b"\xff"]);
        assert_eq!(binary.next::<String>().unwrap(), "ch");
        assert_eq!(binary.payload().unwrap(), &b"\xff"[..]);
        let mut part = arguments(json!([[placeholder]]), &[b"0", b"1"]);
        assert_eq!(part.payload(), Err(BadArguments));
    }

    #[test]
    fn options_may_be_missing_but_not_of_another_type() {
        let options = |values| arguments(values, &[]).optional::<HistoryOptions>();
        assert_eq!(options(json!([])).ok().unwrap().limit, 0);
        assert_eq!(options(json!([null])).ok().unwrap().limit, 0);
        assert_eq!(options(json!([{ "limit": 3 }])).ok().unwrap().limit, 3);
        for wrong in [
            json!([3]),
            json!([{ "limit": "3" }]),
            json!([{ "since": { "offset": -1, "epoch": "" } }]),
        ] {
            assert!(options(wrong).is_err());
        }
        assert!(arguments(json!([1]), &[]).next::<String>().is_err());
    }
}
