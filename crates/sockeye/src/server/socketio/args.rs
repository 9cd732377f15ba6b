//! Arguments of events and acks: JSON by serde, with binary attachments beside it.

use std::{cell::RefCell, fmt};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _},
    ser::{Error as _, SerializeStruct as _},
};
use serde_json::Value;

use super::packet::ATTACHMENTS_MAX;

/// Bytes among the arguments of an event or an ack: an `ArrayBuffer` or a `Buffer` of the client. They travel as a binary message of
/// their own, at most 10 for each event.
///
/// It can be serialized and deserialized only there, at any depth.
///
/// ```
/// use serde::Deserialize;
/// use sockeye::socketio::Attachment;
///
/// #[derive(Deserialize)]
/// struct Picture {
///     name: String,
///     data: Attachment,
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment(pub Bytes);

/// Arguments as they come, for a handler that takes any: JSON in which an attachment stands as `{"_placeholder":true,"num":0}`.
///
/// It can be the arguments of another event, too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnyArgs {
    /// The arguments.
    pub values: Vec<Value>,
    /// The attachments, by the numbers in `values`.
    pub attachments: Vec<Bytes>,
}

/// The error of arguments that are no JSON, have more than 10 attachments, or have an attachment that isn't there.
#[derive(Debug)]
pub struct ArgsError(serde_json::Error);

thread_local! {
    /// The attachments of the value that this thread serializes or deserializes.
    static ATTACHMENTS: RefCell<Option<Vec<Bytes>>> = const { RefCell::new(None) };
}

/// Makes the attachments of this thread's value known until it is dropped.
struct AttachmentScope(Option<Vec<Bytes>>);

impl AttachmentScope {
    fn begin(attachments: Vec<Bytes>) -> Self {
        Self(ATTACHMENTS.replace(Some(attachments)))
    }

    fn end(self) -> Vec<Bytes> {
        ATTACHMENTS.take().unwrap_or_default()
    }
}

impl Drop for AttachmentScope {
    fn drop(&mut self) {
        ATTACHMENTS.set(self.0.take());
    }
}

/// Returns the arguments as JSON values, and their attachments.
pub(super) fn encode<A: Serialize>(args: &A) -> Result<(Vec<Value>, Vec<Bytes>), ArgsError> {
    let scope = AttachmentScope::begin(Vec::new());
    let value = serde_json::to_value(args).map_err(ArgsError)?;
    let attachments = scope.end();
    let values = match value {
        Value::Array(values) => values,
        Value::Null => Vec::new(),
        one => vec![one],
    };
    Ok((values, attachments))
}

/// Makes arguments of JSON values and their attachments.
pub(super) fn decode<A: DeserializeOwned>(
    values: Vec<Value>,
    attachments: Vec<Bytes>,
) -> Result<A, ArgsError> {
    let _scope = AttachmentScope::begin(attachments);
    // No arguments are `()`, which serde takes from null alone.
    if values.is_empty()
        && let Ok(none) = serde_json::from_value(Value::Null)
    {
        return Ok(none);
    }
    serde_json::from_value(Value::Array(values)).map_err(ArgsError)
}

/// Returns the error of more attachments than a packet can have.
pub(super) fn too_many_attachments() -> ArgsError {
    let message = "there are more than 10 attachments";
    ArgsError(<serde_json::Error as serde::ser::Error>::custom(message))
}

/// Returns whether each placeholder in `values` stands for one of `count` attachments.
pub(super) fn has_valid_placeholders(values: &[Value], count: usize) -> bool {
    values.iter().all(|value| match value {
        Value::Array(values) => has_valid_placeholders(values, count),
        Value::Object(fields) if fields.get("_placeholder") == Some(&Value::Bool(true)) => {
            let number = fields.get("num").and_then(Value::as_u64);
            number.is_some_and(|number| number < count as u64)
        }
        Value::Object(fields) => fields
            .values()
            .all(|value| has_valid_placeholders(std::slice::from_ref(value), count)),
        _ => true,
    })
}

impl Serialize for Attachment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = ATTACHMENTS.with_borrow_mut(|attachments| {
            let attachments = attachments.as_mut()?;
            attachments.push(self.0.clone());
            (attachments.len() <= ATTACHMENTS_MAX).then_some(attachments.len() - 1)
        });
        let number = number.ok_or_else(|| S::Error::custom("an attachment can't stand here"))?;
        let mut fields = serializer.serialize_struct("Attachment", 2)?;
        fields.serialize_field("_placeholder", &true)?;
        fields.serialize_field("num", &number)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Attachment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Placeholder {
            #[serde(rename = "_placeholder")]
            is_placeholder: bool,
            num: usize,
        }
        let placeholder = Placeholder::deserialize(deserializer)?;
        let found = ATTACHMENTS.with_borrow(|attachments| {
            let found = attachments.as_ref()?.get(placeholder.num)?;
            placeholder.is_placeholder.then(|| found.clone())
        });
        let found = found.ok_or_else(|| D::Error::custom("there is no such attachment"))?;
        Ok(Self(found))
    }
}

impl Serialize for AnyArgs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_alone = ATTACHMENTS.with_borrow_mut(|attachments| {
            let is_alone = attachments.as_ref().is_some_and(Vec::is_empty);
            *attachments = Some(self.attachments.clone());
            is_alone
        });
        match is_alone && self.attachments.len() <= ATTACHMENTS_MAX {
            true => self.values.serialize(serializer),
            false => Err(S::Error::custom("AnyArgs are all arguments or none")),
        }
    }
}

impl<'de> Deserialize<'de> for AnyArgs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self {
            values: Vec::deserialize(deserializer)?,
            attachments: ATTACHMENTS.with_borrow(|found| found.clone().unwrap_or_default()),
        })
    }
}

impl fmt::Display for ArgsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for ArgsError {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn attachments_stand_as_placeholders_in_the_order_of_the_arguments() {
        let args = (
            "a",
            Attachment(Bytes::from_static(b"1")),
            [Attachment(Bytes::from_static(b"2"))],
        );
        let (values, attachments) = encode(&args).unwrap();
        assert_eq!(
            serde_json::to_string(&values).unwrap(),
            r#"["a",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1}]]"#
        );
        assert_eq!(attachments, [&b"1"[..], b"2"]);
        let decoded: (String, Attachment, [Attachment; 1]) = decode(values, attachments).unwrap();
        assert_eq!((decoded.1, decoded.2), (args.1, args.2));
    }

    #[test]
    fn arguments_are_a_list_one_value_or_none() {
        assert_eq!(encode(&(1, "b")).unwrap().0, [json!(1), json!("b")]);
        assert_eq!(encode(&"b").unwrap().0, [json!("b")]);
        assert_eq!(encode(&()).unwrap().0, Vec::<Value>::new());
        assert_eq!(encode(&([1, 2],)).unwrap().0, [json!([1, 2])]);
    }

    #[test]
    fn a_placeholder_beside_the_attachments_is_found() {
        // GHSA-qm95-pgcg-qqfq (CVE-2022-2421): the number of a placeholder was trusted.
        for (value, is_valid) in [
            (json!([{"_placeholder": true, "num": 1}]), true),
            (json!([[{"a": {"num": 1, "_placeholder": true}}]]), true),
            (json!([{"_placeholder": true, "num": 2}]), false),
            (json!([{"_placeholder": true, "num": -1}]), false),
            (json!([{"_placeholder": true, "num": "splice"}]), false),
            (json!([{"_placeholder": true}]), false),
            (json!([{"_placeholder": false, "num": 9}]), true),
        ] {
            let Value::Array(values) = value else {
                unreachable!()
            };
            assert_eq!(has_valid_placeholders(&values, 2), is_valid, "{values:?}");
        }
        let decoded =
            decode::<(Attachment,)>(vec![json!({"_placeholder": true, "num": 2})], vec![]);
        assert!(decoded.is_err());
    }

    #[test]
    fn there_are_ten_attachments_at_most() {
        let list = |count: usize| vec![Attachment::default(); count];
        assert!(encode(&(list(10),)).is_ok());
        assert!(encode(&(list(11),)).is_err());
        assert!(serde_json::to_string(&Attachment::default()).is_err());
    }

    #[test]
    fn any_arguments_are_passed_on_as_they_came() {
        let args = ("a", Attachment(Bytes::from_static(b"1")));
        let (values, attachments) = encode(&args).unwrap();
        let any: AnyArgs = decode(values.clone(), attachments.clone()).unwrap();
        assert_eq!(encode(&any).unwrap(), (values, attachments));
    }
}
