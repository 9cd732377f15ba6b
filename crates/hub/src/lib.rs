//! Messaging rules without sockets.
//!
//! What it is:
//! - [`wire`]: the messages of the Centrifugal client protocol and their two encodings, and its codes: [`ErrorCode`],
//!   [`UnsubscribeCode`], [`Disconnect`];
//! - [`token`]: who a client is and what it may subscribe to, as signed by the application (JWT);
//! - [`namespace`]: what the name of a channel means, and which options it has;
//! - [`Node`]: clients and their subscriptions, and what a back end can do; a [`Transport`] carries a client's frames;
//! - [`broker`]: what is published to channels, and their history;
//! - [`metrics`]: what a node counts;
//! - [`presence`]: which clients are online, on how many devices, and when the others were last seen.
//!
//! What it is not:
//! - a server: it has no client socket, no HTTP and no configuration file; its caller has those;
//! - a source of time: the program passes the time, or a [`Clock`].
//!
//! A publication, from a client or a back end to the subscribers:
//!
//! ```text
//!   frame ──> wire ──> client ── publish ──> broker: offset, history ──> node ──> shard (pure) ──> frame, once
//!   back end ────────> node  ── publish ──────^                                    │               for each list
//!                                                                                  v
//!                                                     transport <── lists of subscribers with equal bytes
//! ```
//!
//! Presence over nodes:
//!
//! ```text
//!   a client's connection                                             application, back end
//!   opens ──> join ──> ┐                         ┌──> status, list, count
//!                      ├──> registry (pure) ─────┤
//!   ends ──> drop ───> ┘       ^     │           └──> changes: online, offline
//!                       events │     v unsaved
//!                          store task ──> store: memory, durable, redis
//! ```

mod answer;
mod clock;
mod disconnect;
mod error;
mod error_code;
mod ids;
mod log_limit;
mod memory;
mod pattern;
mod private_file;
mod publication;
mod random;
mod rare_bytes;
mod transport;
mod unsubscribe_code;

pub mod wire;

pub mod token;

pub mod namespace;

pub mod metrics;

mod filter;
mod log;
mod map;
mod node;
mod shard;

pub mod broker;

pub mod presence;

pub use answer::Answer;
pub use broker::{
    Broker, BrokerError, BrokerEvents, History, HistoryQuery, Limit, PublishOptions, Published,
};
pub use clock::{Clock, ManualClock, SystemClock, UnixMillis};
pub use disconnect::{Disconnect, DisconnectError};
pub use error::StoreError;
pub use error_code::ErrorCode;
pub use ids::CLIENT_BYTES_MAX;
pub use map::{KEY_BYTES_MAX, MapChanged, MapCondition, MapLimits, MapStateQuery, MapSuppression};
pub use memory::MemoryMeter;
pub use node::{
    ApiError, Client, ClientHeaders, ClientView, ConnectEvent, ConnectionInfo, Credentials,
    DisconnectEvent, MapChangeEvent, MapChangeGrant, MapPublishing, MapState, MessageEvent, Node,
    NodeBuilder, NodeInfo, NodeSettings, OtherConnections, PresenceStats, PublishEvent,
    PublishGrant, Publishing, RefreshEvent, Refreshed, Refreshing, Rejection, RpcEvent,
    SubRefreshEvent, SubRefreshed, SubscribeEvent, Subscribing, SubscriptionGrant, UserFilter,
    VERSION_EPOCH_BYTES_MAX,
};
pub use private_file::open_private_file;
pub use publication::{ClientInfo, Epoch, MapChange, Publication, StreamPosition, Tags};
pub use rare_bytes::RareBytes;
pub use transport::{Receivers, SendError, Transport};
pub use unsubscribe_code::UnsubscribeCode;
