//! One subscriber of a channel.

use std::sync::Arc;

use super::{ListId, Variant};
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
    pub(crate) publications: Vec<(Arc<Publication>, Option<StreamPosition>)>,
    /// Bytes of the payloads of `publications`.
    pub(crate) bytes: usize,
    /// Whether publications were dropped because of [`HELD_PUBLICATIONS_MAX`] or [`HELD_BYTES_MAX`].
    pub(crate) is_incomplete: bool,
}

/// A subscriber that is served alone until it has reached the position of the channel's lists.
pub(crate) struct Alone {
    pub(crate) variant: Variant,
    /// Position of the last publication that it has been given.
    pub(crate) position: StreamPosition,
}

/// Publications kept for one subscriber whose history is being read, which takes a round trip to the broker.
pub(crate) const HELD_PUBLICATIONS_MAX: usize = 1_024;

/// Bytes of payload kept for one subscriber whose history is being read.
pub(crate) const HELD_BYTES_MAX: usize = 1 << 20;

impl Held {
    pub(crate) fn new(variant: Variant) -> Self {
        Self {
            variant,
            publications: Vec::new(),
            bytes: 0,
            is_incomplete: false,
        }
    }

    pub(crate) fn keep(
        &mut self,
        publication: &Arc<Publication>,
        position: Option<&StreamPosition>,
    ) {
        let bytes = self.bytes + publication.data.len();
        if self.publications.len() >= HELD_PUBLICATIONS_MAX || bytes > HELD_BYTES_MAX {
            self.is_incomplete = true;
        }
        if !self.is_incomplete {
            self.bytes = bytes;
            self.publications
                .push((Arc::clone(publication), position.cloned()));
        }
    }
}
