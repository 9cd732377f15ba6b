//! JSON that orders of a back end and answers of the application have in common.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use sockeye_hub::{UnixMillis, token::OptionOverride, wire::check_json};

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

/// Returns JSON as a payload.
pub(crate) fn of_raw(json: &RawValue) -> Option<Bytes> {
    let json = Bytes::copy_from_slice(json.get().as_bytes());
    // It was read as JSON, so it is; what is left to do is to put it on one line.
    check_json(json).ok()
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
