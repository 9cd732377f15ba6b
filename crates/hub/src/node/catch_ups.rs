//! Subscriptions to maps that have begun, and whose clients are still reading.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;

use super::{NodeShared, client::Plan};
use crate::{
    Epoch,
    shard::{ClientKey, Generation},
};

/// What clients are reading, by client. Most clients never have any, and pay nothing for it.
#[derive(Default)]
pub(crate) struct CatchUps {
    by_client: Mutex<HashMap<ClientKey, Vec<CatchUp>>>,
    /// How many there are, so that those without any needn't take the lock.
    count: AtomicUsize,
}

/// A map that a client is reading.
pub(crate) struct CatchUp {
    pub(crate) plan: Plan,
    /// The client must have read all by then.
    pub(crate) until: Duration,
    /// The epoch of the first page. Empty: none was read.
    pub(crate) epoch: Epoch,
    /// The offset of the first page: what came later is read from the stream.
    pub(crate) offset: u64,
    /// The top of the stream when the client began to read it.
    pub(crate) top: Option<u64>,
    /// The subscription for which what comes is kept meanwhile, where there is no stream to read it from.
    pub(crate) held: Option<Generation>,
}

impl CatchUps {
    /// Takes what a client is reading of a channel.
    pub(crate) fn take(&self, client: ClientKey, channel: &str) -> Option<CatchUp> {
        if self.is_empty() {
            return None;
        }
        let mut table = self.by_client.lock();
        let of_client = table.get_mut(&client)?;
        let at = of_client
            .iter()
            .position(|it| *it.plan.channel == *channel)?;
        let taken = of_client.swap_remove(at);
        if of_client.is_empty() {
            table.remove(&client);
        }
        self.count.fetch_sub(1, Ordering::Relaxed);
        Some(taken)
    }

    pub(crate) fn put(&self, client: ClientKey, catch_up: CatchUp) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.by_client
            .lock()
            .entry(client)
            .or_default()
            .push(catch_up);
    }

    /// Returns how many channels a client is reading.
    pub(crate) fn count(&self, client: ClientKey) -> usize {
        match self.is_empty() {
            true => 0,
            false => self.by_client.lock().get(&client).map_or(0, Vec::len),
        }
    }

    /// Takes all that a client is reading.
    pub(crate) fn take_all(&self, client: ClientKey) -> Vec<CatchUp> {
        if self.is_empty() {
            return Vec::new();
        }
        let taken = self.by_client.lock().remove(&client).unwrap_or_default();
        self.count.fetch_sub(taken.len(), Ordering::Relaxed);
        taken
    }

    /// Takes what has taken its client too long.
    fn take_late(&self, now: Duration) -> Vec<(ClientKey, CatchUp)> {
        let mut late = Vec::new();
        if self.is_empty() {
            return late;
        }
        self.by_client.lock().retain(|client, of_client| {
            let gone = of_client.extract_if(.., |it| it.until <= now);
            late.extend(gone.map(|it| (*client, it)));
            !of_client.is_empty()
        });
        self.count.fetch_sub(late.len(), Ordering::Relaxed);
        late
    }

    fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }
}

impl NodeShared {
    /// Gives up what has taken its client too long. A client that asks for more of it is refused.
    pub(crate) fn sweep_catch_ups(self: &Arc<Self>, now: Duration) {
        for (client, catch_up) in self.catch_ups.take_late(now) {
            self.drop_catch_up(client, &catch_up);
        }
    }

    /// Ends what is kept for a client that is reading a map.
    pub(crate) fn drop_catch_up(self: &Arc<Self>, client: ClientKey, catch_up: &CatchUp) {
        let channel = &catch_up.plan.channel;
        if let Some(generation) = catch_up.held
            && let Some(removed) = self.channels.remove(channel, client, generation)
        {
            self.after_removal(channel, removed);
        }
    }
}
