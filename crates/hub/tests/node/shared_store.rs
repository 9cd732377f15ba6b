//! A store of presence that several nodes share, with leases, which a test can stop.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sockeye_hub::{
    Clock, ManualClock, StoreError, UnixMillis,
    presence::{Batch, ChannelPresence, ClientState, Device, SaveTiming, Store, StoreEvent},
};
use tokio::sync::watch;

pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// What one node has saved.
#[derive(Default)]
struct Saved {
    /// When it was heard of last.
    renewed: UnixMillis,
    clients: BTreeMap<Arc<str>, Vec<Device>>,
}

/// What all nodes have saved.
#[derive(Clone)]
pub(crate) struct SharedStore {
    nodes: Arc<Mutex<BTreeMap<Arc<str>, Saved>>>,
    /// Changes when something was saved.
    saves: watch::Sender<u64>,
    pub(crate) clock: Arc<ManualClock>,
}

/// One node's way to it.
struct NodeStore {
    name: Arc<str>,
    shared: SharedStore,
    changed: watch::Receiver<u64>,
    known: Vec<Arc<str>>,
    hangs: Arc<AtomicBool>,
}

struct SharedClock(Arc<ManualClock>);

impl Clock for SharedClock {
    fn now(&self) -> UnixMillis {
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

impl SharedStore {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Arc::default(),
            saves: watch::Sender::new(0),
            clock: Arc::new(ManualClock::at(UnixMillis(1_000))),
        }
    }

    /// Opens the presence of one node. While the flag is set its store doesn't answer: it is slow, or its node is dead.
    pub(crate) async fn open(&self, name: &str) -> (ChannelPresence, Arc<AtomicBool>) {
        let hangs = Arc::new(AtomicBool::new(false));
        let store = NodeStore {
            name: name.into(),
            shared: self.clone(),
            changed: self.saves.subscribe(),
            known: Vec::new(),
            hangs: Arc::clone(&hangs),
        };
        let clock = SharedClock(Arc::clone(&self.clock));
        let presence = ChannelPresence::open(Arc::new(clock), store).await;
        (presence.unwrap(), hangs)
    }

    /// Returns how many entries nodes have saved.
    pub(crate) fn len(&self) -> usize {
        let nodes = self.nodes.lock().unwrap();
        nodes.values().map(|saved| saved.clients.len()).sum()
    }
}

impl NodeStore {
    fn read(&mut self, now: UnixMillis) -> Vec<StoreEvent> {
        let mut nodes = self.shared.nodes.lock().unwrap();
        nodes.retain(|name, saved| *name == self.name || now.since(saved.renewed) < LEASE);
        let gone = self.known.iter().filter(|name| !nodes.contains_key(*name));
        let gone = gone.map(|node| StoreEvent::NodeGone {
            node: Arc::clone(node),
            at: now,
        });
        let mut events: Vec<StoreEvent> = gone.collect();
        let others = nodes.iter().filter(|(name, _)| **name != self.name);
        for (node, saved) in others.clone() {
            events.push(StoreEvent::NodeSnapshot {
                node: Arc::clone(node),
                at: now,
                clients: saved.clients.clone().into_iter().collect(),
            });
        }
        self.known = others.map(|(name, _)| Arc::clone(name)).collect();
        events
    }
}

impl Store for NodeStore {
    async fn open(&mut self, now: UnixMillis) -> Result<Vec<StoreEvent>, StoreError> {
        Ok(self.read(now))
    }

    async fn save(&mut self, batch: Batch) -> Result<Vec<StoreEvent>, StoreError> {
        if self.hangs.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
        let is_changed = !batch.clients.is_empty();
        {
            let mut nodes = self.shared.nodes.lock().unwrap();
            let saved = nodes.entry(Arc::clone(&self.name)).or_default();
            saved.renewed = batch.at;
            for record in batch.clients {
                match record.state {
                    ClientState::Local { devices, .. } => {
                        saved.clients.insert(record.client, devices);
                    }
                    _ => {
                        saved.clients.remove(&record.client);
                    }
                }
            }
        }
        if is_changed {
            self.shared.saves.send_modify(|saves| *saves += 1);
            self.changed.mark_unchanged();
        }
        Ok(self.read(batch.at))
    }

    async fn next_event(&mut self) -> Result<Option<StoreEvent>, StoreError> {
        let _ = self.changed.changed().await;
        Ok(None)
    }

    fn expire(&mut self, _now: UnixMillis) -> Option<StoreEvent> {
        None
    }

    async fn close(&mut self) {
        self.shared.nodes.lock().unwrap().remove(&self.name);
        self.shared.saves.send_modify(|saves| *saves += 1);
    }

    fn save_timing(&self) -> Option<SaveTiming> {
        Some(SaveTiming {
            batch_delay: Duration::from_millis(20),
            interval_max: Duration::from_secs(1),
        })
    }
}
