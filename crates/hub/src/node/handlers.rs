//! What an application decides: functions that it gives to the node.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};

use super::{MapPublishing, Publishing};
use crate::{
    Disconnect, ErrorCode, UnixMillis,
    token::SubscriptionOptions,
    wire::{Encoding, ErrorReply},
};

/// A connected client, as handlers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientView {
    /// Id of the connection.
    pub client: Arc<str>,
    /// The user; empty for an anonymous one.
    pub user: Arc<str>,
    /// What others may know about the client.
    pub info: Bytes,
    /// What the application alone knows about it.
    pub meta: Bytes,
    /// Name of the transport.
    pub transport: &'static str,
    /// The client's encoding.
    pub encoding: Encoding,
    /// Those of its header fields that [`crate::NodeSettings::kept_headers`] names. `None`: it brought none of them.
    pub headers: Option<Arc<ClientHeaders>>,
}

/// Header fields that a client brought, by lower-case name.
///
/// The two are apart because they differ in who can set them. A proxy before the server can replace a field of the
/// request, and whatever a client writes into its connect command arrives as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHeaders {
    /// Those of the request that opened the connection.
    pub request: BTreeMap<String, String>,
    /// Those that the connect command brought, for clients that can't set header fields, such as browsers.
    pub emulated: BTreeMap<String, String>,
}

impl ClientHeaders {
    /// Returns the fields that are kept for a connected client; `None` if there are none.
    pub(crate) fn kept(&self, names: &[String]) -> Option<Arc<Self>> {
        let kept = |fields: &BTreeMap<String, String>| {
            let named = names.iter().filter_map(|name| fields.get_key_value(name));
            named
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        };
        let headers = Self {
            request: kept(&self.request),
            emulated: kept(&self.emulated),
        };
        (headers != Self::default()).then(|| Arc::new(headers))
    }
}

/// A client asks to connect.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectEvent {
    /// Id that the connection will have.
    pub client: Arc<str>,
    /// Name of the transport.
    pub transport: &'static str,
    /// The client's encoding.
    pub encoding: Encoding,
    /// Payload of the client for the application.
    pub data: Bytes,
    /// Name of the client's library.
    pub name: String,
    /// Version of the client.
    pub version: String,
    /// Channels that the client says it was subscribed to by the server before.
    pub channels: Vec<String>,
    /// All header fields of the client.
    pub headers: Arc<ClientHeaders>,
}

/// Who a client is.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The user; empty for an anonymous one, which the settings must allow.
    pub user: String,
    /// What others may know about the client.
    pub info: Bytes,
    /// What the application alone knows about it.
    pub meta: Bytes,
    /// Payload for the client.
    pub data: Bytes,
    /// When the client must have refreshed; with a refresh handler, when that is asked.
    pub expire_at: Option<UnixMillis>,
    /// Channels to which the server subscribes the client.
    pub subscriptions: Vec<(String, SubscriptionOptions)>,
    /// What happens to the user's other connections.
    pub others: OtherConnections,
}

/// What happens to the connections that a user has on this node when it connects once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OtherConnections {
    /// They stay.
    #[default]
    Stay,
    /// They are ended with 3504, so that of several that come at the same time exactly one stays: the one that came last.
    /// [`Node::disconnect`](crate::Node::disconnect) in the handler can't do that, since it doesn't know those that are
    /// still connecting. Anonymous clients are not one user, and stay.
    End,
}

/// A client asks to subscribe.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubscribeEvent {
    /// Who asks.
    pub client: ClientView,
    /// The channel.
    pub channel: String,
    /// Its namespace; empty without one.
    pub namespace: String,
    /// Payload of the client for the application.
    pub data: Bytes,
}

/// What a subscription is allowed to be.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionGrant {
    /// Information about the client in this channel, payload for the client, and options that differ from the channel's.
    pub options: SubscriptionOptions,
    /// When the subscription must have been refreshed. A time that has passed is error 110.
    pub expire_at: Option<UnixMillis>,
}

/// A client asks to publish.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PublishEvent {
    /// Who asks.
    pub client: ClientView,
    /// The channel.
    pub channel: String,
    /// Its namespace; empty without one.
    pub namespace: String,
    /// The payload.
    pub data: Bytes,
}

/// How a client's publication is published.
#[derive(Clone, Debug, Default)]
pub struct PublishGrant {
    /// Another payload than the client's.
    pub data: Option<Bytes>,
    /// Whether it is kept, its tags, and what tells it from others.
    pub how: Publishing,
}

/// A client asks to set or remove an entry of a map.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MapChangeEvent {
    /// Who asks.
    pub client: ClientView,
    /// The channel.
    pub channel: String,
    /// Its namespace; empty without one.
    pub namespace: String,
    /// The key that the client says. It may be empty or too long: the answer can have another one.
    pub key: String,
    /// The payload. `None`: the entry is to be removed.
    pub data: Option<Bytes>,
}

/// How a client's change of a map is made.
#[derive(Clone, Debug, Default)]
pub struct MapChangeGrant {
    /// Another key than the client's.
    pub key: Option<String>,
    /// Another payload than the client's. A removal has none.
    pub data: Option<Bytes>,
    /// The tags, the condition, and what tells it from others. Of a removal only the tags and the idempotency key count.
    pub how: MapPublishing,
}

/// A client calls a procedure.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RpcEvent {
    /// Who calls.
    pub client: ClientView,
    /// Name of the procedure; may be empty.
    pub method: String,
    /// The argument.
    pub data: Bytes,
}

/// A client sent a message to the application, which has no answer.
#[derive(Clone, Debug)]
pub struct MessageEvent {
    /// Who sent it.
    pub client: ClientView,
    /// The payload.
    pub data: Bytes,
}

/// A client's connection has to be refreshed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RefreshEvent {
    /// Whose.
    pub client: ClientView,
}

/// A client's subscription has to be refreshed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubRefreshEvent {
    /// Whose.
    pub client: ClientView,
    /// The channel.
    pub channel: String,
    /// Its namespace; empty without one.
    pub namespace: String,
}

/// The answer to a [`RefreshEvent`].
#[derive(Clone, Debug, Default)]
pub struct Refreshed {
    /// When the handler is asked again; `None`: never. A time that has passed ends the connection with 3005.
    pub expire_at: Option<UnixMillis>,
    /// What others may know about the client from now on; `None` leaves it.
    pub info: Option<Bytes>,
    /// What the application alone knows about it from now on; `None` leaves it.
    pub meta: Option<Bytes>,
}

/// The answer to a [`SubRefreshEvent`].
#[derive(Clone, Debug, Default)]
pub struct SubRefreshed {
    /// When the handler is asked again; `None`: never. A time that has passed ends the subscription.
    pub expire_at: Option<UnixMillis>,
    /// What others in the channel may know about the client from now on; `None` leaves it.
    pub info: Option<Bytes>,
}

/// A client has gone.
#[derive(Clone, Debug)]
pub struct DisconnectEvent {
    /// Who.
    pub client: ClientView,
    /// How the hub ended it; `None` if the client or the network did.
    pub disconnect: Option<Disconnect>,
}

/// The application's "no".
#[derive(Clone, Debug, PartialEq)]
pub enum Rejection {
    /// The command fails; the client goes on.
    Error(ErrorReply),
    /// The client is ended.
    Disconnect(Disconnect),
}

impl From<ErrorCode> for Rejection {
    fn from(code: ErrorCode) -> Self {
        Self::Error(code.into())
    }
}

impl From<ErrorReply> for Rejection {
    fn from(error: ErrorReply) -> Self {
        Self::Error(error)
    }
}

impl From<Disconnect> for Rejection {
    fn from(disconnect: Disconnect) -> Self {
        Self::Disconnect(disconnect)
    }
}

pub(crate) type Handler<Event, Answer> =
    Box<dyn Fn(Event) -> BoxFuture<'static, Result<Answer, Rejection>> + Send + Sync>;

/// The functions of the application. All are optional; without them tokens and the options of channels decide.
///
/// A function that answers `Ok(None)` leaves the decision to the options of the channel.
#[derive(Default)]
pub(crate) struct Handlers {
    pub(crate) connect: Option<Handler<ConnectEvent, Option<Credentials>>>,
    pub(crate) subscribe: Option<Handler<SubscribeEvent, Option<SubscriptionGrant>>>,
    pub(crate) publish: Option<Handler<PublishEvent, Option<PublishGrant>>>,
    pub(crate) map_change: Option<Handler<MapChangeEvent, Option<MapChangeGrant>>>,
    pub(crate) rpc: Option<Handler<RpcEvent, Bytes>>,
    pub(crate) message: Option<Handler<MessageEvent, ()>>,
    pub(crate) refresh: Option<Handler<RefreshEvent, Refreshed>>,
    pub(crate) sub_refresh: Option<Handler<SubRefreshEvent, SubRefreshed>>,
    pub(crate) disconnect: Option<Box<dyn Fn(DisconnectEvent) + Send + Sync>>,
}

/// Boxes an application's function.
pub(crate) fn boxed<Event, Answer, F, Fut>(handler: F) -> Handler<Event, Answer>
where
    F: Fn(Event) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Answer, Rejection>> + Send + 'static,
{
    Box::new(move |event| handler(event).boxed())
}
