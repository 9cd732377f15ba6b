//! The parameters of orders.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use sockeye_hub::{
    Epoch, ErrorCode, HistoryQuery, Limit, Publishing, StreamPosition, Subscribing, UnixMillis,
    UserFilter, token::SubscriptionOptions,
};

use super::failure::Failure;
use crate::hub::json::{self, Override, expiry};

/// The parameters of `publish`, which has `channel`, and of `broadcast`, which has `channels`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Publish {
    pub(super) channel: String,
    pub(super) channels: Vec<String>,
    data: Option<Box<RawValue>>,
    b64data: String,
    skip_history: bool,
    tags: BTreeMap<String, String>,
    idempotency_key: String,
    version: u64,
    version_epoch: String,
}

/// Which clients of a user are meant.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Clients {
    pub(super) user: String,
    client: String,
    session: String,
    whitelist: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Subscribe {
    pub(super) channel: String,
    info: Option<Box<RawValue>>,
    b64info: String,
    data: Option<Box<RawValue>>,
    b64data: String,
    recover_since: Option<Position>,
    #[serde(rename = "override")]
    overrides: Option<Override>,
    expire_at: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Position {
    offset: u64,
    epoch: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Disconnect {
    disconnect: Option<Goodbye>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Goodbye {
    code: u32,
    reason: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refresh {
    pub(super) expired: bool,
    expire_at: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OfChannel {
    pub(super) channel: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct HistoryOf {
    pub(super) channel: String,
    limit: i32,
    since: Option<Position>,
    reverse: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Channels {
    pub(super) pattern: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Batch {
    /// Objects with one key, the method.
    pub(super) commands: Vec<Option<BTreeMap<String, Box<RawValue>>>>,
    pub(super) parallel: bool,
}

impl Publish {
    pub(super) fn data(&self) -> Result<Bytes, Failure> {
        payload(self.data.as_deref(), &self.b64data)?.ok_or(ErrorCode::BadRequest.into())
    }

    pub(super) fn publishing(self) -> Publishing {
        let key = self.idempotency_key;
        Publishing {
            skip_history: self.skip_history,
            tags: self.tags.into_iter().collect(),
            idempotency_key: (!key.is_empty()).then_some(key),
            version: self.version,
            version_epoch: self.version_epoch,
        }
    }
}

impl Clients {
    pub(super) fn filter(&self) -> UserFilter {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        UserFilter {
            client: given(&self.client),
            session: given(&self.session),
            except: self.whitelist.clone(),
        }
    }
}

impl Subscribe {
    pub(super) fn subscribing(&self) -> Result<Subscribing, Failure> {
        Ok(Subscribing {
            options: SubscriptionOptions {
                info: payload(self.info.as_deref(), &self.b64info)?,
                data: payload(self.data.as_deref(), &self.b64data)?,
                overrides: self.overrides.unwrap_or_default().into(),
            },
            recover_since: self.recover_since.as_ref().map(Position::position),
            expire_at: expiry(self.expire_at),
        })
    }
}

impl Position {
    fn position(&self) -> StreamPosition {
        StreamPosition {
            offset: self.offset,
            epoch: Epoch::new(&self.epoch),
        }
    }
}

impl Disconnect {
    /// Returns how the clients are ended; 3503 if nothing is said.
    pub(super) fn disconnect(self) -> Result<sockeye_hub::Disconnect, Failure> {
        let Some(Goodbye { code, reason }) = self.disconnect else {
            return Ok(sockeye_hub::Disconnect::FORCE_DISCONNECT);
        };
        let code = u16::try_from(code).map_err(|_| Failure::from(ErrorCode::BadRequest))?;
        sockeye_hub::Disconnect::of_application(code, reason)
            .map_err(|_| ErrorCode::BadRequest.into())
    }
}

impl Refresh {
    pub(super) fn expire_at(&self) -> Option<UnixMillis> {
        match self.expired {
            true => Some(UnixMillis(0)),
            false => expiry(self.expire_at),
        }
    }
}

impl HistoryOf {
    pub(super) fn query(&self) -> HistoryQuery {
        HistoryQuery {
            limit: match usize::try_from(self.limit) {
                Ok(0) => Limit::PositionOnly,
                Ok(limit) => Limit::AtMost(limit),
                Err(_) => Limit::All,
            },
            since: self.since.as_ref().map(Position::position),
            reverse: self.reverse,
            ..HistoryQuery::default()
        }
    }
}

/// Returns a payload that is given as JSON, or as base64 of anything.
fn payload(json: Option<&RawValue>, base64: &str) -> Result<Option<Bytes>, Failure> {
    json::payload(json, base64).map_err(|_| ErrorCode::BadRequest.into())
}
