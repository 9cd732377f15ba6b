//! The parameters of orders.

use std::collections::BTreeMap;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use sockeye_hub::{
    Epoch, ErrorCode, HistoryQuery, Limit, Publishing, StreamPosition, Subscribing, UnixMillis,
    UserFilter, token::SubscriptionOptions,
};

use super::failure::Failure;
use crate::hub::json::{self, Override, expiry};

/// The parameters of `publish`, which has `channel`, and of `broadcast`, which has `channels`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Publish {
    /// Name of the channel.
    pub(super) channel: String,
    /// Names of the channels.
    pub(super) channels: Vec<String>,
    /// The payload: any JSON.
    data: Option<Box<RawValue>>,
    /// The payload in base64, in place of `data`.
    b64data: String,
    /// Leaves it out of the channel's history.
    skip_history: bool,
    /// What filters look at.
    tags: BTreeMap<String, String>,
    /// A publication with a key that the channel has seen within five minutes is answered as the first was, and not
    /// published again.
    idempotency_key: String,
    /// A publication whose version isn't above the last one's is not published. 0: no version.
    version: u64,
    /// Names the counter of `version`.
    version_epoch: String,
}

/// Which clients of a user are meant.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Clients {
    /// The user.
    pub(super) user: String,
    /// The connection with this id alone.
    client: String,
    /// The connection with this session alone.
    session: String,
    /// Not the connections with these ids.
    whitelist: Vec<String>,
}

/// How clients are subscribed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Subscribe {
    /// Name of the channel.
    pub(super) channel: String,
    /// What others may know about the clients in this channel: any JSON.
    info: Option<Box<RawValue>>,
    /// The same in base64, in place of `info`.
    b64info: String,
    /// Payload for the clients: any JSON.
    data: Option<Box<RawValue>>,
    /// The same in base64, in place of `data`.
    b64data: String,
    /// Gives the clients what was published after this position.
    recover_since: Option<Position>,
    /// Options that differ from the channel's.
    #[serde(rename = "override")]
    overrides: Option<Override>,
    /// When the subscriptions expire, in seconds since 1970. 0: never.
    expire_at: i64,
}

/// A place in a channel's history.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "StreamPosition")]
pub(super) struct Position {
    /// Number of a publication.
    offset: u64,
    /// The history that the number belongs to.
    epoch: String,
}

/// How clients are ended.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Disconnect {
    /// What the clients are told. Default: code 3503.
    disconnect: Option<Goodbye>,
}

/// What clients are told that are ended.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "DisconnectCode")]
struct Goodbye {
    /// Below 3500, and from 4000 to 4499, if the clients shall come back; another up to 4999 if they shall not.
    code: u32,
    /// Why, for people: at most 123 bytes, and not JSON.
    reason: String,
}

/// When connections expire.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Refresh {
    /// Ends the connections as expired.
    pub(super) expired: bool,
    /// When the connections expire, in seconds since 1970. 0: never.
    expire_at: i64,
}

/// The channel that is meant.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct OfChannel {
    /// Name of the channel.
    pub(super) channel: String,
}

/// Which part of a history is wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct HistoryOf {
    /// Name of the channel.
    pub(super) channel: String,
    /// Most publications. 0: only the position. −1: all.
    limit: i32,
    /// The publications after this position, or before it with `reverse`.
    since: Option<Position>,
    /// The newest first.
    reverse: bool,
}

/// Which channels are wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Channels {
    /// Channels whose name matches: `*` is any text, `?` any character. Empty: all.
    pub(super) pattern: String,
}

/// Several orders.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Batch {
    /// Objects with one key: the order's name, with its parameters. At most 10,000.
    pub(super) commands: Vec<Option<BTreeMap<String, Box<RawValue>>>>,
    /// Carries them out at the same time.
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
