//! What waits for slow readers that lose publications, in all channels of a node together.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::{node::client::Client, shard::ClientKey};

/// The bytes that wait for slow readers that lose publications. Each channel limits what waits in it, and a client may have many: beyond
/// the limit of this the clients for which most waits lose their connections after all.
pub(crate) struct WaitingTotal {
    bytes_max: usize,
    count: Mutex<Count>,
}

#[derive(Default)]
struct Count {
    /// A frame counts once for all that it waits for.
    bytes: usize,
    clients: HashMap<ClientKey, WaitingClient>,
    /// The part of the clients that must end, which is soon given back.
    ending_bytes: usize,
}

struct WaitingClient {
    client: Arc<Client>,
    bytes: usize,
    must_end: bool,
}

impl WaitingTotal {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            count: Mutex::default(),
        }
    }

    /// Counts a frame that begins to wait. Returns the clients that must end.
    pub(crate) fn add_frame(&self, bytes: usize) -> Vec<Arc<Client>> {
        let mut count = self.count.lock();
        count.bytes += bytes;
        let mut ended = Vec::new();
        while count.bytes.saturating_sub(count.ending_bytes) > self.bytes_max {
            let clients = count.clients.values_mut();
            let staying = clients.filter(|waiting| !waiting.must_end);
            let Some(largest) = staying.max_by_key(|waiting| waiting.bytes) else {
                break;
            };
            largest.must_end = true;
            ended.push(Arc::clone(&largest.client));
            count.ending_bytes += largest.bytes;
        }
        ended
    }

    /// Returns whether the client must end: nothing more may wait for it.
    pub(crate) fn must_end(&self, client: ClientKey) -> bool {
        let count = self.count.lock();
        let waiting = count.clients.get(&client);
        waiting.is_some_and(|waiting| waiting.must_end)
    }

    pub(crate) fn remove_frame(&self, bytes: usize) {
        self.count.lock().bytes -= bytes;
    }

    /// Notes that `after` bytes wait for `client` in a channel in which `before` did.
    pub(crate) fn set_waiting(&self, client: &Arc<Client>, before: usize, after: usize) {
        if before == after {
            return;
        }
        let mut count = self.count.lock();
        let count = &mut *count;
        let entry = count.clients.entry(client.key());
        let mut entry = match entry {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => entry.insert_entry(WaitingClient {
                client: Arc::clone(client),
                bytes: 0,
                must_end: false,
            }),
        };
        let waiting = entry.get_mut();
        waiting.bytes = waiting.bytes + after - before;
        if waiting.must_end {
            count.ending_bytes = count.ending_bytes + after - before;
        }
        if waiting.bytes == 0 {
            // The caller has the client too, so this is not its end.
            entry.remove();
        }
    }
}
