//! The results of orders.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::value::RawValue;
use sockeye_hub::{MapChanged, MapSuppression, Published, StreamPosition};

use super::failure::Failure;

/// The result of one order.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum OrderResult {
    Empty(Empty),
    Publish(PublishResult),
    Broadcast(BroadcastResult),
    Presence(PresenceResult),
    PresenceStats(PresenceStatsResult),
    History(HistoryResult),
    Channels(ChannelsResult),
    Info(InfoResult),
    Batch(BatchResult),
    MapChange(MapChangeResult),
    MapState(MapStateResult),
    MapStream(MapStreamResult),
    MapStats(MapStatsResult),
}

/// A result, or why there is none.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "{T}Reply")]
pub(super) enum Reply<T> {
    /// The order was carried out.
    Result {
        /// What came of it.
        result: T,
    },
    /// It was not.
    Error {
        /// Why.
        error: Failure,
    },
}

/// Nothing but that it was done.
#[derive(Serialize, JsonSchema)]
pub(super) struct Empty {}

/// Where the publication is in the channel's history. Empty if the channel has none.
#[derive(Serialize, JsonSchema)]
pub(super) struct PublishResult {
    /// Its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    /// The history that the number belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<String>,
}

/// What came of each publication.
#[derive(Serialize, JsonSchema)]
pub(super) struct BroadcastResult {
    /// One for each channel, in their order.
    pub(super) responses: Vec<Reply<PublishResult>>,
}

/// Who is in the channel.
#[derive(Serialize, JsonSchema)]
pub(super) struct PresenceResult {
    /// The clients by their ids.
    pub(super) presence: BTreeMap<String, ClientInfo>,
}

/// A client in a channel.
#[derive(Serialize, JsonSchema)]
pub(super) struct ClientInfo {
    /// Id of the connection.
    client: String,
    /// The user; empty for an anonymous one.
    user: String,
    /// What others may know about the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    conn_info: Option<Box<RawValue>>,
    /// What others may know about it in this channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    chan_info: Option<Box<RawValue>>,
}

/// How many are in the channel.
#[derive(Serialize, JsonSchema)]
pub(super) struct PresenceStatsResult {
    /// Connections.
    pub(super) num_clients: u32,
    /// Different users.
    pub(super) num_users: u32,
}

/// Publications of a channel, and its position.
#[derive(Serialize, JsonSchema)]
pub(super) struct HistoryResult {
    /// The publications, the oldest first unless `reverse` is set.
    pub(super) publications: Vec<Publication>,
    /// Number of the channel's newest publication, also if it isn't kept any more.
    pub(super) offset: u64,
    /// The history that the numbers belong to.
    pub(super) epoch: String,
}

/// One publication.
#[derive(Serialize, JsonSchema)]
pub(super) struct Publication {
    /// The payload; `null` if it isn't JSON.
    data: Box<RawValue>,
    /// Who published it, if that was a client.
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<ClientInfo>,
    /// Its number.
    offset: u64,
    /// What filters look at.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
}

/// What came of a change of a map.
#[derive(Serialize, JsonSchema)]
pub(super) struct MapChangeResult {
    /// Its number. Absent where the map has no stream.
    #[serde(skip_serializing_if = "is_zero")]
    offset: u64,
    /// The stream that the number belongs to.
    epoch: String,
    /// It has not happened.
    #[serde(skip_serializing_if = "is_false")]
    suppressed: bool,
    /// Why not: `idempotency`, `version`, `key_exists` or `key_not_found`.
    #[serde(skip_serializing_if = "Option::is_none")]
    suppress_reason: Option<&'static str>,
}

/// Entries of a map.
#[derive(Serialize, JsonSchema)]
pub(super) struct MapStateResult {
    /// The entries, in the order of their keys.
    pub(super) entries: Vec<MapEntry>,
    #[serde(flatten)]
    pub(super) position: MapPosition,
    /// Others follow: what gets them as `cursor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cursor: Option<String>,
}

/// Changes of a map.
#[derive(Serialize, JsonSchema)]
pub(super) struct MapStreamResult {
    /// The changes, the oldest first unless `reverse` is set.
    pub(super) entries: Vec<MapEntry>,
    #[serde(flatten)]
    pub(super) position: MapPosition,
}

/// Where the stream of a map is.
#[derive(Serialize, JsonSchema)]
pub(super) struct MapPosition {
    /// Number of its newest change. Absent where there is none.
    #[serde(skip_serializing_if = "is_zero")]
    offset: u64,
    /// The stream that the numbers belong to.
    epoch: String,
}

/// How large a map is.
#[derive(Serialize, JsonSchema)]
pub(super) struct MapStatsResult {
    /// Entries. Absent if there are none.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) num_keys: u64,
}

/// An entry of a map, or a change of one.
#[derive(Serialize, JsonSchema)]
pub(super) struct MapEntry {
    /// Its key.
    key: String,
    /// The payload; `null` if it isn't JSON, and absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    /// What filters look at.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    /// Number of the change. Absent where the map has no stream.
    #[serde(skip_serializing_if = "is_zero")]
    offset: u64,
    /// The change removed the entry.
    #[serde(skip_serializing_if = "is_false")]
    removed: bool,
    /// When it was set or removed, in milliseconds since 1970.
    time: u64,
}

/// The channels that have subscribers.
#[derive(Serialize, JsonSchema)]
pub(super) struct ChannelsResult {
    /// The channels by their names.
    pub(super) channels: BTreeMap<String, ChannelInfo>,
}

/// A channel.
#[derive(Serialize, JsonSchema)]
pub(super) struct ChannelInfo {
    /// Subscribers.
    pub(super) num_clients: usize,
}

/// The nodes.
#[derive(Serialize, JsonSchema)]
pub(super) struct InfoResult {
    /// This node.
    pub(super) nodes: Vec<NodeInfo>,
}

/// A node at a glance.
#[derive(Serialize, JsonSchema)]
pub(super) struct NodeInfo {
    /// Id of the node, which is new at each start.
    pub(super) uid: String,
    /// Its name.
    pub(super) name: String,
    /// Its version.
    pub(super) version: String,
    /// Connected clients.
    pub(super) num_clients: usize,
    /// Different users among them.
    pub(super) num_users: usize,
    /// Subscriptions.
    pub(super) num_subs: usize,
    /// Channels with subscribers.
    pub(super) num_channels: usize,
    /// Seconds since its start.
    pub(super) uptime: u64,
}

/// What came of each order of a batch.
#[derive(Serialize)]
pub(super) struct BatchResult {
    /// One for each command, in their order.
    pub(super) replies: Vec<BatchReply>,
}

/// An object with one key: the order's name with its result, or `error`.
pub(super) enum BatchReply {
    Result(&'static str, OrderResult),
    Error(Failure),
}

impl PublishResult {
    pub(super) fn of(published: &Published) -> Self {
        let position = published.position.as_ref();
        Self {
            offset: position.map(|position| position.offset),
            epoch: position.map(|position| position.epoch.as_str().to_owned()),
        }
    }
}

impl MapChangeResult {
    pub(super) fn of(changed: &MapChanged) -> Self {
        Self {
            offset: changed.position.offset,
            epoch: changed.position.epoch.as_str().to_owned(),
            suppressed: changed.suppressed.is_some(),
            suppress_reason: changed.suppressed.map(MapSuppression::as_str),
        }
    }
}

impl MapPosition {
    pub(super) fn of(position: &StreamPosition) -> Self {
        Self {
            offset: position.offset,
            epoch: position.epoch.as_str().to_owned(),
        }
    }
}

impl MapEntry {
    pub(super) fn of(publication: &sockeye_hub::Publication) -> Self {
        let change = publication.change.as_deref();
        let data = &publication.data;
        let tags = publication.tags.iter();
        Self {
            key: change.map_or_else(String::new, |change| change.key.to_string()),
            data: (!data.is_empty()).then(|| json(data)),
            tags: tags
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            offset: publication.offset,
            removed: change.is_some_and(|change| change.removed),
            time: publication.time.0,
        }
    }
}

impl Publication {
    pub(super) fn of(publication: &sockeye_hub::Publication) -> Self {
        let tags = publication.tags.iter();
        Self {
            data: json(&publication.data),
            info: publication.info.as_deref().map(ClientInfo::of),
            offset: publication.offset,
            tags: tags
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

impl ClientInfo {
    pub(super) fn of(info: &sockeye_hub::ClientInfo) -> Self {
        let given = |bytes: &[u8]| (!bytes.is_empty()).then(|| json(bytes));
        Self {
            client: info.client.to_string(),
            user: info.user.to_string(),
            conn_info: given(&info.conn_info),
            chan_info: given(&info.chan_info),
        }
    }
}

impl Serialize for BatchReply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Result(method, result) => map.serialize_entry(method, result)?,
            Self::Error(failure) => map.serialize_entry("error", failure)?,
        }
        map.end()
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// Returns a payload as the JSON that it is; `null` if it isn't JSON, which an answer in JSON can't hold.
fn json(bytes: &[u8]) -> Box<RawValue> {
    let json = serde_json::from_slice::<&RawValue>(bytes);
    json.map_or_else(|_| RawValue::NULL.to_owned(), ToOwned::to_owned)
}

/// Makes each kind of result an [`OrderResult`].
macro_rules! order_results {
    ($($variant:ident($result:ty)),* $(,)?) => {
        $(impl From<$result> for OrderResult {
            fn from(result: $result) -> Self {
                Self::$variant(result)
            }
        })*
    };
}

order_results! {
    Empty(Empty),
    Publish(PublishResult),
    Broadcast(BroadcastResult),
    Presence(PresenceResult),
    PresenceStats(PresenceStatsResult),
    History(HistoryResult),
    Channels(ChannelsResult),
    Info(InfoResult),
    Batch(BatchResult),
    MapChange(MapChangeResult),
    MapState(MapStateResult),
    MapStream(MapStreamResult),
    MapStats(MapStatsResult),
}
