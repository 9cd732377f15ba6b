//! The parameters of orders.

use std::collections::BTreeMap;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::value::RawValue;
use sockeye_hub::{
    Epoch, ErrorCode, HistoryQuery, Limit, MapPublishing, MapStateQuery, Publishing, Refreshing,
    StreamPosition, Subscribing, UnixMillis, UserFilter, token::SubscriptionOptions,
};

use super::failure::Failure;
use crate::hub::json::{self, Override, expiry, or_default};

/// The parameters of `publish`, which has `channel`, and of `broadcast`, which has `channels`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Publish {
    /// Name of the channel.
    #[serde(deserialize_with = "or_default")]
    pub(super) channel: String,
    /// Names of the channels.
    #[serde(deserialize_with = "texts")]
    pub(super) channels: Vec<String>,
    /// The payload: any JSON.
    #[serde(deserialize_with = "even_null")]
    data: Option<Box<RawValue>>,
    /// The payload in base64, in place of `data`.
    #[serde(deserialize_with = "or_default")]
    b64data: String,
    /// Leaves it out of the channel's history.
    #[serde(deserialize_with = "or_default")]
    skip_history: bool,
    /// What filters look at.
    #[serde(deserialize_with = "or_default")]
    tags: BTreeMap<String, String>,
    /// A publication with a key that the channel has seen within five minutes is answered as the first was, and not
    /// published again.
    #[serde(deserialize_with = "or_default")]
    idempotency_key: String,
    /// A publication whose version isn't above the last one's is not published. 0: no version.
    #[serde(deserialize_with = "or_default")]
    version: u64,
    /// Names the counter of `version`.
    #[serde(deserialize_with = "or_default")]
    version_epoch: String,
}

/// Which clients of a user are meant.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Clients {
    /// The user.
    #[serde(deserialize_with = "or_default")]
    pub(super) user: String,
    /// The connection with this id alone.
    #[serde(deserialize_with = "or_default")]
    client: String,
    /// The connection with this session alone.
    #[serde(deserialize_with = "or_default")]
    session: String,
    /// Not the connections with these ids.
    #[serde(deserialize_with = "or_default")]
    whitelist: Vec<String>,
}

/// How clients are subscribed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Subscribe {
    /// Name of the channel.
    #[serde(deserialize_with = "or_default")]
    pub(super) channel: String,
    /// What others may know about the clients in this channel: any JSON.
    info: Option<Box<RawValue>>,
    /// The same in base64, in place of `info`.
    #[serde(deserialize_with = "or_default")]
    b64info: String,
    /// Payload for the clients: any JSON.
    #[serde(deserialize_with = "even_null")]
    data: Option<Box<RawValue>>,
    /// The same in base64, in place of `data`.
    #[serde(deserialize_with = "or_default")]
    b64data: String,
    /// Gives the clients what was published after this position.
    #[serde(deserialize_with = "object")]
    recover_since: Option<Position>,
    /// Options that differ from the channel's.
    #[serde(deserialize_with = "object")]
    #[serde(rename = "override")]
    overrides: Option<Override>,
    /// When the subscriptions expire, in seconds since 1970. 0: never.
    #[serde(deserialize_with = "or_default")]
    expire_at: i64,
}

/// A place in a channel's history.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "StreamPosition")]
pub(super) struct Position {
    /// Number of a publication.
    #[serde(deserialize_with = "or_default")]
    offset: u64,
    /// The history that the number belongs to.
    #[serde(deserialize_with = "or_default")]
    epoch: String,
}

/// How clients are ended.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Disconnect {
    /// What the clients are told. Default: code 3503.
    #[serde(deserialize_with = "object")]
    disconnect: Option<Goodbye>,
}

/// What clients are told that are ended.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "DisconnectCode")]
struct Goodbye {
    /// Below 3500, and from 4000 to 4499, if the clients shall come back; another up to 4999 if they shall not.
    #[serde(deserialize_with = "or_default")]
    code: u32,
    /// Why, for people: at most 123 bytes, and not JSON.
    #[serde(deserialize_with = "or_default")]
    reason: String,
}

/// When connections expire.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Refresh {
    /// Ends the connections as expired.
    #[serde(deserialize_with = "or_default")]
    pub(super) expired: bool,
    /// When the connections expire, in seconds since 1970. 0: never.
    #[serde(deserialize_with = "or_default")]
    expire_at: i64,
    /// What others may know about the clients from now on, if the connections expire: any JSON.
    info: Option<Box<RawValue>>,
}

/// The channel that is meant.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct OfChannel {
    /// Name of the channel.
    #[serde(deserialize_with = "or_default")]
    pub(super) channel: String,
}

/// Which part of a history is wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct HistoryOf {
    /// Name of the channel.
    #[serde(deserialize_with = "or_default")]
    pub(super) channel: String,
    /// Most publications. 0: only the position. −1: all.
    #[serde(deserialize_with = "or_default")]
    limit: i32,
    /// The publications after this position, or before it with `reverse`.
    #[serde(deserialize_with = "object")]
    since: Option<Position>,
    /// The newest first.
    #[serde(deserialize_with = "or_default")]
    reverse: bool,
}

/// An entry of a map that is to be set.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct MapPublish {
    /// Name of the channel.
    #[serde(deserialize_with = "or_default")]
    pub(super) channel: String,
    /// Key of the entry: 1 to 1,024 bytes.
    #[serde(deserialize_with = "or_default")]
    pub(super) key: String,
    /// The payload: any JSON. Without one the entry is its key alone.
    #[serde(deserialize_with = "even_null")]
    data: Option<Box<RawValue>>,
    /// The payload in base64, in place of `data`.
    #[serde(deserialize_with = "or_default")]
    b64data: String,
    /// What filters look at.
    #[serde(deserialize_with = "or_default")]
    tags: BTreeMap<String, String>,
    /// A change with a key that the map has seen within five minutes is answered as the first was, and does not happen again.
    #[serde(deserialize_with = "or_default")]
    idempotency_key: String,
    /// A change whose version isn't above the entry's does not happen. 0: no version.
    #[serde(deserialize_with = "or_default")]
    version: u64,
    /// Names the counter of `version`.
    #[serde(deserialize_with = "or_default")]
    version_epoch: String,
    /// `if_new` sets only what isn't there, `if_exists` only what is. Empty: both.
    #[serde(deserialize_with = "or_default")]
    key_mode: String,
}

/// An entry of a map that is to be removed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct MapRemove {
    /// Name of the channel.
    #[serde(deserialize_with = "or_default")]
    pub(super) channel: String,
    /// Key of the entry.
    #[serde(deserialize_with = "or_default")]
    pub(super) key: String,
    /// A change with a key that the map has seen within five minutes is answered as the first was, and does not happen again.
    #[serde(deserialize_with = "or_default")]
    idempotency_key: String,
}

/// Which entries of a map are wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct MapReadState {
    /// Name of the channel.
    #[serde(deserialize_with = "or_default")]
    pub(super) channel: String,
    /// Those behind the page whose answer had this cursor.
    #[serde(deserialize_with = "or_default")]
    cursor: String,
    /// Most entries. 0: only the position. −1: all. Pages of large entries are shorter.
    #[serde(deserialize_with = "or_default")]
    limit: i32,
    /// The entry with this key alone.
    #[serde(deserialize_with = "or_default")]
    key: String,
    /// Fails with error 112 unless the map has this epoch.
    #[serde(deserialize_with = "or_default")]
    pub(super) revision_epoch: String,
    /// Counts only with `revision_epoch`, or alone as a position of no epoch.
    #[serde(deserialize_with = "or_default")]
    pub(super) revision_offset: u64,
}

/// Which changes of a map are wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct MapReadStream {
    /// Name of the channel.
    #[serde(deserialize_with = "or_default")]
    pub(super) channel: String,
    /// Most changes. 0: only the position. −1: all.
    #[serde(deserialize_with = "or_default")]
    limit: i32,
    /// The changes after this offset, or before it with `reverse`.
    #[serde(deserialize_with = "or_default")]
    since_offset: u64,
    /// The epoch that the offset belongs to.
    #[serde(deserialize_with = "or_default")]
    since_epoch: String,
    /// The newest first.
    #[serde(deserialize_with = "or_default")]
    reverse: bool,
}

/// Which channels are wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Channels {
    /// Channels whose name matches: `*` is any text, `?` any character, `[abc]`, `[a-z]` and `[!a-z]` one of some,
    /// `{news,chat}` one of some texts. Empty: all.
    #[serde(deserialize_with = "or_default")]
    pub(super) pattern: String,
}

/// Several orders.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Batch {
    /// Objects with one key: the order's name, with its parameters. At most 10,000.
    #[serde(deserialize_with = "or_default")]
    pub(super) commands: Vec<Option<BTreeMap<String, Option<Box<RawValue>>>>>,
    /// Carries them out at the same time.
    #[serde(deserialize_with = "or_default")]
    pub(super) parallel: bool,
}

/// A procedure of the application.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Rpc {
    /// Its name.
    #[serde(deserialize_with = "or_default")]
    pub(super) method: String,
}

impl Publish {
    pub(super) fn data(&self) -> Result<Bytes, Failure> {
        let data = payload(self.data.as_deref(), &self.b64data)?;
        if data.is_none() {
            tracing::debug!("an order to publish has neither data nor b64data");
        }
        // Without one it is empty, and the channel says whether it takes that.
        Ok(data.unwrap_or_default())
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

impl MapPublish {
    /// Returns the payload; nothing if there is none.
    pub(super) fn data(&self) -> Result<Bytes, Failure> {
        Ok(payload(self.data.as_deref(), &self.b64data)?.unwrap_or_default())
    }

    pub(super) fn publishing(self) -> Result<MapPublishing, Failure> {
        let key = self.idempotency_key;
        Ok(MapPublishing {
            tags: self.tags.into_iter().collect(),
            idempotency_key: (!key.is_empty()).then_some(key),
            version: self.version,
            version_epoch: self.version_epoch,
            condition: json::map_condition(&self.key_mode).ok_or(ErrorCode::BadRequest)?,
        })
    }
}

impl MapRemove {
    pub(super) fn idempotency_key(&self) -> Option<String> {
        let key = &self.idempotency_key;
        (!key.is_empty()).then(|| key.clone())
    }
}

impl MapReadState {
    pub(super) fn query(&self) -> MapStateQuery {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        MapStateQuery {
            after: given(&self.cursor),
            limit: usize::try_from(self.limit).unwrap_or(usize::MAX),
            key: given(&self.key),
        }
    }

    /// Returns whether all is wanted, in as many pages as it takes.
    pub(super) fn wants_all(&self) -> bool {
        self.limit < 0 && self.key.is_empty()
    }

    /// Returns whether the answer is good for whoever asks.
    pub(super) fn accepts(&self, epoch: &str) -> bool {
        let has_revision = self.revision_offset > 0 || !self.revision_epoch.is_empty();
        !has_revision || self.revision_epoch == epoch
    }
}

impl MapReadStream {
    pub(super) fn query(&self) -> HistoryQuery {
        let has_since = self.since_offset > 0 || !self.since_epoch.is_empty();
        HistoryQuery {
            limit: limit(self.limit),
            since: has_since.then(|| StreamPosition {
                offset: self.since_offset,
                epoch: Epoch::new(&self.since_epoch),
            }),
            reverse: self.reverse,
            ..HistoryQuery::default()
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
    pub(super) fn refreshing(&self) -> Refreshing {
        Refreshing {
            expire_at: match self.expired {
                true => Some(UnixMillis(0)),
                false => expiry(self.expire_at),
            },
            info: self
                .info
                .as_deref()
                .and_then(json::of_raw)
                .unwrap_or_default(),
        }
    }
}

impl HistoryOf {
    pub(super) fn query(&self) -> HistoryQuery {
        HistoryQuery {
            limit: limit(self.limit),
            since: self.since.as_ref().map(Position::position),
            reverse: self.reverse,
            ..HistoryQuery::default()
        }
    }
}

fn limit(limit: i32) -> Limit {
    match usize::try_from(limit) {
        Ok(0) => Limit::PositionOnly,
        Ok(limit) => Limit::AtMost(limit),
        Err(_) => Limit::All,
    }
}

/// Returns a payload that is given as JSON, or as base64 of anything.
fn payload(json: Option<&RawValue>, base64: &str) -> Result<Option<Bytes>, Failure> {
    json::payload(json, base64).map_err(|_| {
        tracing::debug!("an order has a payload that should be base64 and is not");
        ErrorCode::BadRequest.into()
    })
}

/// Reads texts, of which `null` is an empty one.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let texts: Option<Vec<Option<String>>> = Option::deserialize(deserializer)?;
    let texts = texts.unwrap_or_default().into_iter();
    Ok(texts.map(Option::unwrap_or_default).collect())
}

/// Reads a payload, which can be `null`.
fn even_null<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(deserializer).map(Some)
}

/// Reads an object: a list would be taken for its values.
fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let json: Option<Box<RawValue>> = Option::deserialize(deserializer)?;
    let Some(json) = json else { return Ok(None) };
    match json.get().starts_with('{') {
        true => serde_json::from_str(json.get())
            .map(Some)
            .map_err(D::Error::custom),
        false => Err(D::Error::custom("not an object")),
    }
}
