//! The filters of a client: how much memory they take, and what they leave of a recovery.

use std::sync::Arc;

use super::{Client, Failure, state::Connected, subscribe::Plan};
use crate::{
    Epoch, ErrorCode, Publication,
    filter::{Filter, HeldFilter},
    memory::Charge,
    node::push,
    shard::Recovery,
    wire::{self, FilterNode},
};

impl Client {
    /// Reads the filter of a subscription. Fails if the filter has no meaning, if the client's filters take too much, or if memory is
    /// short.
    pub(super) fn hold_filter(
        &self,
        channel: &Arc<str>,
        node: &FilterNode,
    ) -> Result<Arc<HeldFilter>, Failure> {
        let filter = Filter::new(node).map_err(|_| Failure::from(ErrorCode::BadRequest))?;
        let bytes = filter.bytes();
        let bytes_max = self.node.settings.filter_bytes_max;
        let mut state = self.state.lock();
        if !state.connected()?.add_filter(channel, bytes, bytes_max) {
            return Err(ErrorCode::LimitExceeded.into());
        }
        drop(state);
        let charge = Charge::try_new(&self.node.meter, bytes);
        let charge = charge.ok_or(Failure::from(ErrorCode::Internal))?;
        Ok(Arc::new(HeldFilter::new(filter, charge)))
    }

    /// Returns what was recovered as the client is to be given it.
    pub(super) fn recovered(
        &self,
        plan: &Plan,
        recovery: &Recovery,
    ) -> Result<Vec<wire::Publication>, Failure> {
        let mut publications = wanted(plan, &recovery.publications, &recovery.position.epoch);
        if plan.has_delta {
            wire::Publication::compress_all(&mut publications, self.transport.encoding())
                .map_err(|error| error.disconnect())?;
        }
        Ok(publications)
    }
}

impl Connected {
    /// Counts a filter. Returns whether the client may have it, with those that it has.
    fn add_filter(&mut self, channel: &Arc<str>, bytes: usize, bytes_max: usize) -> bool {
        let mut filters = std::mem::take(self.filter_bytes());
        filters.retain(|(other, _)| other != channel && self.subscriptions.find(other).is_some());
        let held: usize = filters.iter().map(|(_, bytes)| bytes).sum();
        let may_have = held.saturating_add(bytes) <= bytes_max;
        if may_have {
            filters.push((Arc::clone(channel), bytes));
        }
        *self.filter_bytes() = filters;
        may_have
    }
}

/// Returns those publications of a history that the filter of a subscription leaves, each whole.
pub(super) fn wanted(
    plan: &Plan,
    publications: &[Arc<Publication>],
    epoch: &Epoch,
) -> Vec<wire::Publication> {
    let filter = plan.filter.as_deref();
    let wanted = publications
        .iter()
        .filter(|publication| filter.is_none_or(|filter| filter.matches(&publication.tags)));
    push::of_history(wanted, epoch)
}
