//! What makes two subscribers of a channel receive different bytes, or at different times.

use std::{any::TypeId, sync::Arc};

use crate::{Publication, filter::HeldFilter, namespace::SlowReader, wire::Encoding};

/// Subscribers of one channel with equal variants are one list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    /// The type of the transport: each type has its own way to send to many.
    pub(crate) transport: TypeId,
    pub(crate) encoding: Encoding,
    /// Whether pushes are sent bare, as unidirectional transports do.
    pub(crate) is_unidirectional: bool,
    /// Whether the subscriber is told who joins and leaves.
    pub(crate) has_join_leave: bool,
    /// Whether the subscriber is to be told when a publication is missing.
    pub(crate) is_positioned: bool,
    /// Whether the subscriber is sent differences from the publication before; in a map from the one before with the same key.
    pub(crate) has_delta: bool,
    /// Whether the channel is a map. The same for all of a channel.
    pub(crate) is_map: bool,
    /// Which publications the subscriber asked for; all of them without a filter.
    pub(crate) filter: Option<Arc<HeldFilter>>,
    /// What happens to the subscriber if it reads too slowly. The same for all of a channel.
    pub(crate) slow_reader: SlowReader,
}

impl Variant {
    /// Whether the subscriber asked for this publication.
    pub(crate) fn wants(&self, publication: &Publication) -> bool {
        let filter = self.filter.as_ref();
        filter.is_none_or(|filter| filter.matches(&publication.tags))
    }
}
