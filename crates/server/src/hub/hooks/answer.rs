//! What the application answers, as JSON.

use std::collections::BTreeMap;

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned},
};
use serde_json::value::RawValue;
use sockeye_hub::{
    Credentials, Disconnect, MapChangeGrant, MapCondition, MapPublishing, PublishGrant, Publishing,
    Rejection, SubscriptionGrant, UnixMillis, token::SubscriptionOptions, wire::ErrorReply,
};

use crate::{
    config::StatusTransform,
    hub::json::{
        NotBase64, Override, expiry, fields_of, map_condition, or_default, payload, unknown_keys,
    },
};

/// What the application says: a result, nothing, or a refusal.
#[derive(Debug)]
pub(super) struct Answer<T> {
    pub(super) result: Option<T>,
    pub(super) refusal: Option<Rejection>,
    /// Keys of the answer and of the result that mean nothing, as misspelt ones do.
    pub(super) unknown_keys: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AnswerJson {
    result: Option<Box<RawValue>>,
    error: Option<Box<RawValue>>,
    disconnect: Option<Box<RawValue>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorJson {
    code: u32,
    #[serde(deserialize_with = "or_default")]
    message: String,
    #[serde(deserialize_with = "or_default")]
    temporary: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DisconnectJson {
    code: u32,
    #[serde(deserialize_with = "or_default")]
    reason: String,
}

impl<T: DeserializeOwned> Answer<T> {
    /// Reads the body of a response. A disconnect wins over an error, and both over a result.
    ///
    /// # Errors
    /// Why the body means nothing, for the log.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let body: &RawValue =
            serde_json::from_slice(body).map_err(|_| "the answer isn't JSON".to_owned())?;
        let mut unknown = unknown_keys(body.get(), fields_of::<AnswerJson>());
        let answer = object("the answer", Some(body))?;
        let AnswerJson {
            result,
            error,
            disconnect,
        } = answer.unwrap_or_default();
        if let Some(result) = &result {
            unknown.extend(unknown_keys(result.get(), fields_of::<T>()));
        }
        let result = object("the result", result.as_deref())?;
        let error: Option<ErrorJson> = object("the error", error.as_deref())?;
        let disconnect: Option<DisconnectJson> = object("the disconnect", disconnect.as_deref())?;
        let disconnect = disconnect.map(DisconnectJson::rejection).transpose()?;
        let error = error.map(ErrorJson::rejection).transpose()?;
        Ok(Self {
            result,
            refusal: disconnect.or(error),
            unknown_keys: unknown,
        })
    }
}

impl<T> Answer<T> {
    /// Returns what a status means by the configuration, if it says so.
    pub(super) fn of_status(status: u16, transforms: &[StatusTransform]) -> Option<Self> {
        let transform = transforms
            .iter()
            .find(|transform| transform.status_code == status)?;
        let (error, disconnect) = (&transform.to_error, &transform.to_disconnect);
        let refusal = match error.code {
            0 => Disconnect::of_application(disconnect.code, disconnect.reason.clone())
                .ok()
                .map(Rejection::Disconnect),
            code => Some(Rejection::Error(ErrorReply {
                code,
                message: error.message.clone(),
                temporary: error.temporary,
            })),
        };
        Some(Self {
            result: None,
            refusal,
            unknown_keys: Vec::new(),
        })
    }
}

impl ErrorJson {
    fn rejection(self) -> Result<Rejection, String> {
        match self.code {
            0 => Err("an error without a code".to_owned()),
            code => Ok(Rejection::Error(ErrorReply {
                code,
                message: self.message,
                temporary: self.temporary,
            })),
        }
    }
}

impl DisconnectJson {
    fn rejection(self) -> Result<Rejection, String> {
        let code = self.code;
        let small = u16::try_from(code).unwrap_or_default();
        let disconnect = Disconnect::of_application(small, self.reason).or_else(|error| {
            // A client that was to go goes, also when its reason can't be told.
            tracing::warn!(code, %error, "a hook's reason for a disconnect is left out");
            Disconnect::of_application(small, "")
        });
        disconnect
            .map(Rejection::Disconnect)
            .map_err(|_| format!("{code} is not a code that a client understands: 3000 to 4999"))
    }
}

/// Who a client is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ConnectJson {
    #[serde(deserialize_with = "or_default")]
    user: String,
    #[serde(deserialize_with = "or_default")]
    expire_at: i64,
    info: Option<Box<RawValue>>,
    #[serde(deserialize_with = "or_default")]
    b64info: String,
    data: Option<Box<RawValue>>,
    #[serde(deserialize_with = "or_default")]
    b64data: String,
    #[serde(deserialize_with = "or_default")]
    channels: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    subs: BTreeMap<String, Option<SubJson>>,
    meta: Option<Box<RawValue>>,
}

/// A subscription that the server makes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SubJson {
    info: Option<Box<RawValue>>,
    #[serde(deserialize_with = "or_default")]
    b64info: String,
    data: Option<Box<RawValue>>,
    #[serde(deserialize_with = "or_default")]
    b64data: String,
    #[serde(rename = "override")]
    overrides: Option<Override>,
}

/// How a client may be subscribed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SubscribeJson {
    #[serde(deserialize_with = "or_default")]
    expire_at: i64,
    info: Option<Box<RawValue>>,
    #[serde(deserialize_with = "or_default")]
    b64info: String,
    data: Option<Box<RawValue>>,
    #[serde(deserialize_with = "or_default")]
    b64data: String,
    #[serde(rename = "override")]
    overrides: Option<Override>,
}

/// What is published in place of what the client sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PublishJson {
    data: Option<Box<RawValue>>,
    #[serde(deserialize_with = "or_default")]
    b64data: String,
    #[serde(deserialize_with = "or_default")]
    skip_history: bool,
    #[serde(deserialize_with = "or_default")]
    tags: BTreeMap<String, String>,
    /// Read for its type alone: who gets differences is for subscribers to decide, and every publication can be one.
    #[serde(rename = "delta", deserialize_with = "or_default")]
    _delta: bool,
    #[serde(deserialize_with = "or_default")]
    idempotency_key: String,
    #[serde(deserialize_with = "or_default")]
    version: u64,
    #[serde(deserialize_with = "or_default")]
    version_epoch: String,
}

/// What is set in a map, in place of what the client sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MapPublishJson {
    #[serde(deserialize_with = "or_default")]
    key: String,
    data: Option<Box<RawValue>>,
    #[serde(deserialize_with = "or_default")]
    b64data: String,
    #[serde(deserialize_with = "or_default")]
    tags: BTreeMap<String, String>,
    #[serde(deserialize_with = "key_mode")]
    key_mode: MapCondition,
    #[serde(deserialize_with = "or_default")]
    idempotency_key: String,
    /// Read for its type alone, as in [`PublishJson`].
    #[serde(rename = "delta", deserialize_with = "or_default")]
    _delta: bool,
    #[serde(deserialize_with = "or_default")]
    version: u64,
    #[serde(deserialize_with = "or_default")]
    version_epoch: String,
}

/// What is removed from a map, in place of what the client named.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MapRemoveJson {
    #[serde(deserialize_with = "or_default")]
    key: String,
    #[serde(deserialize_with = "or_default")]
    tags: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    idempotency_key: String,
}

/// What a procedure returns.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RpcJson {
    data: Option<Box<RawValue>>,
    #[serde(deserialize_with = "or_default")]
    b64data: String,
}

/// Whether a connection or a subscription goes on.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RefreshJson {
    #[serde(deserialize_with = "or_default")]
    pub(super) expired: bool,
    #[serde(deserialize_with = "or_default")]
    expire_at: i64,
    info: Option<Box<RawValue>>,
    #[serde(deserialize_with = "or_default")]
    b64info: String,
    meta: Option<Box<RawValue>>,
}

impl ConnectJson {
    pub(super) fn credentials(self) -> Result<Credentials, NotBase64> {
        // As in tokens, `channels` are subscriptions without options.
        let channels = self.channels.into_iter();
        let mut subs: BTreeMap<_, _> = channels.map(|channel| (channel, None)).collect();
        subs.extend(self.subs);
        let subscriptions = subs.into_iter().map(|(channel, sub)| {
            let options = sub.map_or_else(|| Ok(SubscriptionOptions::default()), SubJson::options);
            Ok((channel, options?))
        });
        Ok(Credentials {
            user: self.user,
            info: payload(self.info.as_deref(), &self.b64info)?.unwrap_or_default(),
            meta: payload(self.meta.as_deref(), "")?.unwrap_or_default(),
            data: payload(self.data.as_deref(), &self.b64data)?.unwrap_or_default(),
            expire_at: expiry(self.expire_at),
            subscriptions: subscriptions.collect::<Result<_, _>>()?,
            ..Credentials::default()
        })
    }
}

impl SubJson {
    fn options(self) -> Result<SubscriptionOptions, NotBase64> {
        Ok(SubscriptionOptions {
            info: payload(self.info.as_deref(), &self.b64info)?,
            data: payload(self.data.as_deref(), &self.b64data)?,
            overrides: self.overrides.unwrap_or_default().into(),
        })
    }
}

impl SubscribeJson {
    pub(super) fn grant(self) -> Result<SubscriptionGrant, NotBase64> {
        Ok(SubscriptionGrant {
            expire_at: expiry(self.expire_at),
            options: SubJson {
                info: self.info,
                b64info: self.b64info,
                data: self.data,
                b64data: self.b64data,
                overrides: self.overrides,
            }
            .options()?,
        })
    }
}

impl PublishJson {
    pub(super) fn grant(self) -> Result<PublishGrant, NotBase64> {
        // Other than elsewhere, JSON wins over base64 here.
        let base64 = match self.data {
            Some(_) => "",
            None => &self.b64data,
        };
        Ok(PublishGrant {
            data: payload(self.data.as_deref(), base64)?,
            how: Publishing {
                skip_history: self.skip_history,
                tags: self.tags.into_iter().collect(),
                idempotency_key: Some(self.idempotency_key).filter(|key| !key.is_empty()),
                version: self.version,
                version_epoch: self.version_epoch,
            },
        })
    }
}

impl MapPublishJson {
    pub(super) fn grant(self) -> Result<MapChangeGrant, NotBase64> {
        let base64 = match self.data {
            Some(_) => "",
            None => &self.b64data,
        };
        Ok(MapChangeGrant {
            key: Some(self.key).filter(|key| !key.is_empty()),
            data: payload(self.data.as_deref(), base64)?,
            how: MapPublishing {
                tags: self.tags.into_iter().collect(),
                idempotency_key: Some(self.idempotency_key).filter(|key| !key.is_empty()),
                version: self.version,
                version_epoch: self.version_epoch,
                condition: self.key_mode,
            },
        })
    }
}

impl MapRemoveJson {
    pub(super) fn grant(self) -> Result<MapChangeGrant, NotBase64> {
        Ok(MapChangeGrant {
            key: Some(self.key).filter(|key| !key.is_empty()),
            data: None,
            how: MapPublishing {
                tags: self.tags.into_iter().collect(),
                idempotency_key: Some(self.idempotency_key).filter(|key| !key.is_empty()),
                ..MapPublishing::default()
            },
        })
    }
}

impl RpcJson {
    pub(super) fn data(self) -> Result<bytes::Bytes, NotBase64> {
        Ok(payload(self.data.as_deref(), &self.b64data)?.unwrap_or_default())
    }
}

impl RefreshJson {
    pub(super) fn expire_at(&self) -> Option<UnixMillis> {
        expiry(self.expire_at)
    }

    pub(super) fn info(&self) -> Result<Option<bytes::Bytes>, NotBase64> {
        payload(self.info.as_deref(), &self.b64info)
    }

    pub(super) fn meta(&self) -> Option<bytes::Bytes> {
        payload(self.meta.as_deref(), "").unwrap_or_default()
    }
}

fn key_mode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MapCondition, D::Error> {
    let name: String = or_default(deserializer)?;
    let reason = "key_mode is neither if_new nor if_exists";
    map_condition(&name).ok_or_else(|| de::Error::custom(reason))
}

/// Reads an object; `None` for null. A list isn't one, though its values could be taken for the fields.
fn object<T: DeserializeOwned>(what: &str, json: Option<&RawValue>) -> Result<Option<T>, String> {
    match json.map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some(json) if json.starts_with('{') => {
            let object = serde_json::from_str(json);
            object.map(Some).map_err(|error| format!("{what}: {error}"))
        }
        Some(_) => Err(format!("{what} is not an object")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> Result<Option<Rejection>, String> {
        Answer::<RpcJson>::parse(body.as_bytes()).map(|answer| answer.refusal)
    }

    #[test]
    fn null_and_nothing_are_an_answer_without_a_result() {
        for body in [
            "{}",
            "null",
            r#"{"result": null, "error": null, "disconnect": null}"#,
        ] {
            let answer = Answer::<ConnectJson>::parse(body.as_bytes()).unwrap();
            assert!(
                answer.result.is_none() && answer.refusal.is_none(),
                "{body}"
            );
        }
        for body in [
            "",
            "[]",
            "<html>",
            r#"{"result": 5}"#,
            r#"{"result": []}"#,
            r#"{"result": {"data": 1}} more"#,
        ] {
            assert!(Answer::<RpcJson>::parse(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn null_is_a_field_that_is_not_there() {
        let body = r#"{"result": {"user": null, "channels": null, "subs": {"a": null}, "data": null, "expire_at": null, "more": 1}}"#;
        let answer = Answer::<ConnectJson>::parse(body.as_bytes()).unwrap();
        let credentials = answer.result.unwrap().credentials().unwrap();
        assert_eq!(
            (credentials.user.as_str(), credentials.expire_at),
            ("", None)
        );
        assert!(credentials.data.is_empty());
        assert_eq!(credentials.subscriptions[0].0, "a");
    }

    #[test]
    fn keys_that_mean_nothing_are_found_with_what_was_meant() {
        let body =
            r#"{"results": {}, "result": {"userId": "42", "data": {"any": 1}, "override": {}}}"#;
        let answer = Answer::<ConnectJson>::parse(body.as_bytes()).unwrap();
        assert_eq!(
            answer.unknown_keys,
            [
                "results (did you mean result?)",
                "override",
                "userId (did you mean user?)"
            ]
        );
        // Taken as Centrifugo does: the user is nobody.
        assert_eq!(answer.result.unwrap().credentials().unwrap().user, "");
        let good = Answer::<SubscribeJson>::parse(br#"{"result": {"override": {}}}"#).unwrap();
        assert!(good.unknown_keys.is_empty());
        let html = Answer::<ConnectJson>::parse(b"<html>").unwrap_err();
        assert_eq!(html, "the answer isn't JSON");
    }

    #[test]
    fn a_refusal_has_its_code_and_its_text() {
        let error = |code, message: &str, temporary| {
            Ok(Some(Rejection::Error(ErrorReply {
                code,
                message: message.to_owned(),
                temporary,
            })))
        };
        assert_eq!(
            refusal(r#"{"error": {"code": 1001, "message": "no"}}"#),
            error(1001, "no", false)
        );
        assert_eq!(
            refusal(r#"{"error": {"code": 1001, "temporary": true}}"#),
            error(1001, "", true)
        );
        let disconnect = |code, reason: &'static str| {
            let disconnect = Disconnect::of_application(code, reason).unwrap();
            Ok(Some(Rejection::Disconnect(disconnect)))
        };
        assert_eq!(
            refusal(r#"{"disconnect": {"code": 4501, "reason": "banned"}}"#),
            disconnect(4501, "banned")
        );
        assert_eq!(
            refusal(r#"{"disconnect": {"code": 3501, "reason": "own"}}"#),
            disconnect(3501, "own")
        );
        let both = r#"{"result": {}, "error": {"code": 1}, "disconnect": {"code": 4503}}"#;
        assert_eq!(refusal(both), disconnect(4503, ""));
    }

    #[test]
    fn a_reason_that_no_close_frame_carries_is_left_out() {
        for reason in ["{}", &"x".repeat(124)] {
            let body = format!(r#"{{"disconnect": {{"code": 4502, "reason": "{reason}"}}}}"#);
            let Ok(Some(Rejection::Disconnect(disconnect))) = refusal(&body) else {
                panic!("a disconnect")
            };
            assert_eq!((disconnect.code(), disconnect.reason()), (4502, ""));
        }
    }

    #[test]
    fn codes_that_mean_nothing_are_nonsense() {
        for body in [
            r#"{"error": {}}"#,
            r#"{"disconnect": {"code": 0}}"#,
            r#"{"disconnect": {"code": 1000}}"#,
            r#"{"disconnect": {"code": 70000}}"#,
        ] {
            assert!(refusal(body).is_err(), "{body}");
        }
    }

    #[test]
    fn a_condition_of_a_map_is_one_of_two_words() {
        let condition = |body: &str| {
            let answer = Answer::<MapPublishJson>::parse(body.as_bytes())?;
            let grant = answer.result.unwrap().grant().unwrap();
            Ok((grant.key, grant.how.condition))
        };
        let (none, new) = (MapCondition::None, MapCondition::IfNew);
        assert_eq!(condition(r#"{"result": {"key": ""}}"#), Ok((None, none)));
        let body = r#"{"result": {"key": "a", "key_mode": "if_new"}}"#;
        assert_eq!(condition(body), Ok((Some("a".to_owned()), new)));
        let refused: Result<_, String> = condition(r#"{"result": {"key_mode": "maybe"}}"#);
        assert!(
            refused
                .unwrap_err()
                .contains("neither if_new nor if_exists")
        );
    }

    #[test]
    fn payloads_are_on_one_line() {
        let body = "{\"result\": {\"data\": {\"a\":\n1}}}";
        let answer = Answer::<RpcJson>::parse(body.as_bytes()).unwrap();
        assert_eq!(answer.result.unwrap().data().unwrap(), r#"{"a":1}"#);
        let base64 = Answer::<RpcJson>::parse(br#"{"result": {"b64data": "%"}}"#).unwrap();
        assert!(base64.result.unwrap().data().is_err());
    }
}
