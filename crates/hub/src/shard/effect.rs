//! What the caller of a shard has to do.

use std::sync::Arc;

use super::{ClientKey, Generation, Variant};
use crate::{ClientInfo, Epoch, Publication, StreamPosition, namespace::SlowReader};

/// A list of subscribers that receive the same bytes. Its number is used again after [`Effect::CloseList`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ListId(pub(crate) u32);

/// Something that is sent to subscribers of a channel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    Publication {
        publication: Arc<Publication>,
        /// The epoch, if the publication is the first of its history, or the first for a subscriber that knows no epoch.
        /// Empty otherwise.
        epoch: Epoch,
        form: Form,
    },
    Join(Arc<ClientInfo>),
    Leave(Arc<ClientInfo>),
}

/// The form in which a publication is sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Form {
    /// As it was published.
    Plain,
    /// To subscribers with delta compression: as the difference from a publication that they have, or whole.
    Fossil(Option<Arc<Publication>>),
}

impl Item {
    /// Makes the item of a publication at `position`, in the plain form.
    pub(crate) fn of(publication: &Arc<Publication>, position: Option<&StreamPosition>) -> Self {
        let first = position.filter(|position| position.offset == 1);
        Self::Publication {
            publication: Arc::clone(publication),
            epoch: first.map_or_else(Epoch::default, |first| first.epoch.clone()),
            form: Form::Plain,
        }
    }

    /// Tells the epoch with a publication that isn't the first, to a subscriber that the first one was not for.
    pub(crate) fn with_epoch(mut self, known: &Epoch) -> Self {
        if let Self::Publication { epoch, .. } = &mut self {
            *epoch = known.clone();
        }
        self
    }

    /// Gives a publication the form that subscribers of `variant` get, who have had `previous`.
    pub(crate) fn for_variant(
        mut self,
        variant: &Variant,
        previous: Option<&Arc<Publication>>,
    ) -> Self {
        if let Self::Publication { form, .. } = &mut self
            && variant.has_delta
        {
            *form = Form::Fossil(previous.cloned());
        }
        self
    }
}

/// One thing that the caller has to do, in this order with the others, before it releases the shard's lock. `A` is
/// what the caller knows a client by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect<A> {
    /// Creates an empty list for subscribers such as `first`.
    OpenList {
        list: ListId,
        first: A,
        slow_reader: SlowReader,
    },
    /// Drops a list, which is empty.
    CloseList { list: ListId },
    /// Adds a subscriber to a list.
    Join { list: ListId, client: A },
    /// Removes a subscriber from its list.
    Leave { list: ListId, client: A },
    /// Sends `item` to all subscribers of a list.
    SendToList {
        list: ListId,
        variant: Variant,
        channel: Arc<str>,
        item: Item,
    },
    /// Sends `item` to one subscriber.
    SendTo {
        client: A,
        channel: Arc<str>,
        item: Item,
    },
    /// Ends a subscription, because a publication is missing. It is removed from its list already.
    Insufficient {
        client: A,
        key: ClientKey,
        channel: Arc<str>,
        generation: Generation,
    },
}
