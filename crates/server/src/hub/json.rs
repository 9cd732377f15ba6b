//! JSON that orders of a back end and answers of the application have in common.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, Visitor},
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;
use sockeye_hub::{MapCondition, UnixMillis, token::OptionOverride, wire::check_json};

use crate::config::nearest;

/// Options of a channel that are set for one subscription.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Override {
    /// Whether the clients are in the channel's presence.
    presence: Option<BoolValue>,
    /// Whether others are told that they join and leave.
    join_leave: Option<BoolValue>,
    /// Whether they are told who joins and leaves.
    force_push_join_leave: Option<BoolValue>,
    /// Whether the subscriptions recover.
    force_recovery: Option<BoolValue>,
    /// Whether their positions are checked.
    force_positioning: Option<BoolValue>,
}

/// A value that can be absent and false.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct BoolValue {
    /// On or off.
    value: bool,
}

/// What should be base64 isn't.
#[derive(Debug)]
pub(crate) struct NotBase64;

impl From<Override> for OptionOverride {
    fn from(overrides: Override) -> Self {
        let value = |option: Option<BoolValue>| option.map(|option| option.value);
        Self {
            presence: value(overrides.presence),
            join_leave: value(overrides.join_leave),
            force_push_join_leave: value(overrides.force_push_join_leave),
            force_recovery: value(overrides.force_recovery),
            force_positioning: value(overrides.force_positioning),
        }
    }
}

/// Returns a payload that is given as JSON, or as base64 of anything, which wins.
pub(crate) fn payload(json: Option<&RawValue>, base64: &str) -> Result<Option<Bytes>, NotBase64> {
    if !base64.is_empty() {
        let bytes = STANDARD.decode(base64).map_err(|_| NotBase64)?;
        return Ok(Some(bytes.into()));
    }
    Ok(json.and_then(of_raw))
}

/// Returns the condition for an entry of a map with this name; `None` if there is no such condition.
pub(crate) fn map_condition(name: &str) -> Option<MapCondition> {
    match name {
        "" => Some(MapCondition::None),
        "if_new" => Some(MapCondition::IfNew),
        "if_exists" => Some(MapCondition::IfExists),
        _ => None,
    }
}

/// Returns JSON as a payload.
pub(crate) fn of_raw(json: &RawValue) -> Option<Bytes> {
    let json = Bytes::copy_from_slice(json.get().as_bytes());
    // It was read as JSON, so it is; what is left to do is to put it on one line.
    check_json(json).ok()
}

/// Returns the keys of an object that are not known, each with what was perhaps meant; none for what isn't an object.
pub(crate) fn unknown_keys(json: &str, known: &[&str]) -> Vec<String> {
    let object: BTreeMap<String, IgnoredAny> = serde_json::from_str(json).unwrap_or_default();
    let unknown = object.into_keys().filter(|key| !known.contains(&&**key));
    let described = unknown.map(|key| match nearest(&key, known) {
        Some(meant) => format!("{key} (did you mean {meant}?)"),
        None => key.chars().take(KEY_CHARS_MAX).collect(),
    });
    described.take(KEYS_MAX).collect()
}

/// Returns the names of the fields of a struct.
pub(crate) fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut fields: &[&str] = &[];
    // It fails by design: the names are all that is asked for.
    let _ = T::deserialize(FieldsOf(&mut fields));
    fields
}

/// Characters of a key that is shown.
const KEY_CHARS_MAX: usize = 100;

/// Keys that are shown.
const KEYS_MAX: usize = 10;

/// Asks a type for the names of its fields.
struct FieldsOf<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldsOf<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("there is no value"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Returns the time that is given as seconds since 1970; 0 is never.
pub(crate) fn expiry(seconds: i64) -> Option<UnixMillis> {
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
    Some(UnixMillis(seconds.saturating_mul(1000)))
}

/// Reads a value; `null` is the default, as if the field weren't there: programs with types write it for what they don't set.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
