//! The node: what joins clients, shards and the broker.
//!
//! ```text
//!   transport ── open, frames ──> client ── publish ──> broker ── publication, in the order of offsets ──┐
//!       ^                           │ subscribe, history                                                │
//!       │                           v                                                                   v
//!       └──── frames, lists ──── channels (shards with their locks) <──────────────────── node: BrokerEvents
//!
//!   back end ── publish, broadcast, subscribe, unsubscribe, disconnect, refresh, presence, history ──> node
//!   deadlines ── pings, expiry ──> client
//! ```

mod api;
mod broker_orders;
mod builder;
pub(crate) mod catch_ups;
mod channels;
pub(crate) mod client;
mod clients;
mod compact_time;
mod deadlines;
mod handlers;
mod kept;
mod lossy;
pub(crate) mod maps_api;
mod node;
pub(crate) mod push;
mod refusal_log;
mod settings;
pub(crate) mod shared;
mod subscriber_maps;
mod tokens;
mod upkeep;
mod waiting;

pub use api::{
    ApiError, NodeInfo, PresenceStats, Publishing, Refreshing, Subscribing, UserFilter,
    VERSION_EPOCH_BYTES_MAX,
};
pub use builder::NodeBuilder;
pub use client::{Client, ConnectionInfo};
pub use handlers::{
    ClientHeaders, ClientView, ConnectEvent, Credentials, DisconnectEvent, MapChangeEvent,
    MapChangeGrant, MessageEvent, OtherConnections, PublishEvent, PublishGrant, RefreshEvent,
    Refreshed, Rejection, RpcEvent, SubRefreshEvent, SubRefreshed, SubscribeEvent,
    SubscriptionGrant,
};
pub use maps_api::{MapPublishing, MapState};
pub use node::Node;
pub(crate) use refusal_log::Right;
pub use settings::NodeSettings;
pub(crate) use shared::NodeShared;
pub(crate) use tokens::TokenFailure;
