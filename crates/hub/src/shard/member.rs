//! One subscriber of a channel.

use std::sync::Arc;

use super::{ListId, Variant, lag::Lag};
use crate::{ClientInfo, Publication, StreamPosition};

/// A client of this node. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClientKey(pub(crate) u64);

/// Tells a subscription from earlier ones of the same client to the same channel. Never used again within a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Generation(pub(crate) u64);

/// What a shard has to know of a new subscription.
#[derive(Clone, Debug)]
pub(crate) struct NewSubscription<A> {
    pub(crate) client: A,
    pub(crate) variant: Variant,
    pub(crate) info: Arc<ClientInfo>,
    /// Whether the client is in the channel's presence.
    pub(crate) is_present: bool,
    /// Whether others are told that it joined and left.
    pub(crate) announces: bool,
}

/// A subscription that has begun.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    /// The name that all subscriptions to the channel share.
    pub(crate) channel: Arc<str>,
    pub(crate) generation: Generation,
    /// Whether the broker delivers the channel already. If not, it is to be asked ([`Shard::set_delivered`]).
    ///
    /// [`Shard::set_delivered`]: super::Shard::set_delivered
    pub(crate) is_delivered: bool,
    /// What the channel's lists have been given: a history that ends before it is out of date.
    pub(crate) position: Option<StreamPosition>,
}

/// A subscription that has been removed.
#[derive(Clone, Debug)]
pub(crate) struct Removed {
    pub(crate) info: Arc<ClientInfo>,
    /// Whether it was released: only then has the client been told that it is subscribed.
    pub(crate) was_released: bool,
    pub(crate) announces: bool,
    /// Whether the channel has no subscriber left.
    pub(crate) was_last: bool,
}

pub(crate) struct Member<A> {
    pub(crate) client: A,
    pub(crate) generation: Generation,
    pub(crate) info: Arc<ClientInfo>,
    pub(crate) is_present: bool,
    pub(crate) announces: bool,
    pub(crate) state: MemberState,
}

/// See the drawing of the module.
pub(crate) enum MemberState {
    Held(Box<Held>),
    Alone(Box<Alone>),
    Listed(ListId),
    Lost,
}

/// A subscriber whose history is being read.
pub(crate) struct Held {
    pub(crate) variant: Variant,
    /// Number of the first publication that is kept for it.
    pub(crate) from: u64,
}

/// A subscriber that is served alone until it has reached the position of the channel's lists.
pub(crate) struct Alone {
    pub(crate) variant: Variant,
    /// Position of the last publication that it has been given.
    pub(crate) position: StreamPosition,
    pub(crate) lag: Lag,
    /// Whether it has been told the epoch: in the answer to its subscription, or with its first publication.
    pub(crate) knows_epoch: bool,
    /// The last publication that it has been given, if it has delta compression.
    pub(crate) last: Option<Arc<Publication>>,
}
