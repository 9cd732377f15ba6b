//! The Redis store: this node's lease and changes, and the state of the other nodes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use redis::{Client, Cmd, Pipeline, cmd, pipe};

use super::{
    connections::Connections,
    notice::{self, Event, Notice, NoticedDevice},
    peers::Peers,
    script,
};
use crate::{
    StoreError, UnixMillis,
    presence::{
        Limits, Store,
        store::{Batch, ClientRecord, ClientState, SaveTiming, StoreEvent},
    },
};

/// The store that several nodes share.
///
/// The clients of a node that dies, or that can't reach Redis, are offline after the time to live at the latest. All nodes
/// must have the same one. A node's lease ends after three quarters of it, and the others check eight times in it. A node
/// that can't reach Redis for that long knows its own clients alone.
#[derive(Debug)]
pub struct Redis {
    client: Client,
    node: Arc<str>,
    keys: Keys,
    ttl: Duration,
    seen_max: usize,
    connections: Option<Connections>,
    /// The number of this node's last change.
    number: u64,
    /// Whether batches are written to the hash that will replace the node's current one.
    is_replacing: bool,
    peers: Peers,
    /// When Redis last answered.
    answered_at: UnixMillis,
    /// When the other nodes were last polled.
    polled_at: UnixMillis,
}

#[derive(Debug)]
struct Keys {
    nodes: String,
    /// The prefix of a node's key.
    node: String,
    seen: String,
    changes: String,
}

impl Redis {
    /// The shortest time to live. Below it a busy machine would lose its lease.
    pub const TTL_MIN: Duration = Duration::from_secs(1);

    /// Creates the store at `url`, `redis://[[user]:password@]host[:port][/database]` or `redis+unix:///path`. Doesn't
    /// connect yet. `ttl` is the longest time for which the clients of a dead node are still online.
    ///
    /// # Errors
    ///
    /// The URL is invalid, `ttl` is below [`Redis::TTL_MIN`], or the system gives no random numbers.
    pub fn new(url: &str, ttl: Duration, limits: &Limits) -> Result<Self, StoreError> {
        if ttl < Self::TTL_MIN {
            let message = format!("a time to live of {ttl:?} is below {:?}", Self::TTL_MIN);
            return Err(StoreError::unusable(message));
        }
        // The text leaves the URL out, since it may hold a password.
        let client = Client::open(url)
            .map_err(|error| StoreError::unusable(format!("the URL of Redis: {error}")))?;
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|error| StoreError::unusable(format!("no random numbers: {error}")))?;
        let node = format!("{:016x}", u64::from_ne_bytes(random));
        Ok(Self {
            client,
            keys: Keys::new(PREFIX),
            node: node.into(),
            ttl,
            seen_max: limits.clients_max.min(limits.last_seen_max),
            connections: None,
            number: 0,
            is_replacing: false,
            peers: Peers::default(),
            answered_at: UnixMillis(0),
            polled_at: UnixMillis(0),
        })
    }

    /// Sets what the names of all keys begin with. Default `sockeye:presence`. Different presences need different names.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.keys = Keys::new(prefix);
        self
    }

    fn connections(&mut self) -> Result<&mut Connections, StoreError> {
        let connections = self.connections.as_mut();
        connections.ok_or_else(|| StoreError::outage("Redis isn't connected"))
    }

    fn hash(&self) -> String {
        format!("{}{}", self.keys.node, self.node)
    }

    /// Returns the key of the hash that will replace the node's current one.
    fn next_hash(&self) -> String {
        format!("{}:next", self.hash())
    }

    fn lease_ms(&self) -> u64 {
        u64::try_from((self.ttl * 3 / 4).as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns when a lease was renewed, from the time it has left. The renewal shows that the node lived then; the hash
    /// alone does not.
    fn renewed_at(&self, now: UnixMillis, left_ms: u64) -> UnixMillis {
        UnixMillis(
            now.0
                .saturating_sub(self.lease_ms().saturating_sub(left_ms)),
        )
    }

    /// Writes a batch to the next hash. With the last batch, it replaces the node's current hash.
    async fn replace(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let next = self.next_hash();
        let mut commands = pipe();
        for ClientRecord { client, state } in &batch.clients {
            match state {
                ClientState::Local { devices, .. } => {
                    let found = to_json(&notice::to_wire(devices));
                    commands.hset(&next, &**client, found).ignore();
                    if self.seen_max > 0 {
                        note_last_seen(&mut commands, &self.keys.seen, client, batch.at);
                    }
                }
                ClientState::Offline { last_seen } => {
                    note_last_seen(&mut commands, &self.keys.seen, client, *last_seen);
                }
                ClientState::Remote | ClientState::Forgotten => {}
            }
        }
        commands.hset(&next, "", self.number).ignore();
        commands
            .cmd("PEXPIRE")
            .arg(&next)
            .arg(self.lease_ms())
            .ignore();
        let () = self.connections()?.query_pipeline(&commands).await?;
        if batch.is_last {
            self.number += 1;
            let replaced = self.notice(batch.at, Event::Replaced);
            let command = script(script::REPLACE, &[&self.hash(), &next, &self.keys.nodes])
                .arg(self.number)
                .arg(self.lease_ms())
                .arg(&self.keys.changes)
                .arg(replaced)
                .arg(&*self.node)
                .take();
            let () = self.connections()?.query(&command).await?;
            self.is_replacing = false;
        }
        Ok(())
    }

    /// Writes a batch to the node's hash and renews its lease.
    async fn change(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut here = Vec::new();
        let mut left = Vec::new();
        let mut seen = Vec::new();
        let mut changed: Vec<(String, Vec<NoticedDevice>)> = Vec::new();
        for ClientRecord { client, state } in &batch.clients {
            let mut found = Vec::new();
            match state {
                ClientState::Local { devices, .. } => {
                    found = notice::to_wire(devices);
                    here.push((&**client, to_json(&found)));
                    seen.push((batch.at.0, &**client));
                }
                ClientState::Offline { last_seen } => {
                    left.push(&**client);
                    seen.push((last_seen.0, client));
                }
                ClientState::Remote | ClientState::Forgotten => left.push(client),
            }
            changed.push((client.to_string(), found));
        }
        if self.seen_max == 0 {
            seen.clear();
        }
        let (next, notice) = match changed.is_empty() {
            true => (self.number, String::new()),
            false => {
                let number = self.number + 1;
                let event = Event::Changed {
                    number,
                    clients: changed,
                };
                (number, self.notice(batch.at, event))
            }
        };
        let mut command = script(
            script::CHANGE,
            &[&self.hash(), &self.keys.seen, &self.keys.nodes],
        );
        command
            .arg(self.number)
            .arg(next)
            .arg(self.lease_ms())
            .arg(&self.keys.changes)
            .arg(notice)
            .arg(self.seen_max)
            .arg(&*self.node);
        command.arg(here.len()).arg(here);
        command.arg(left.len()).arg(left);
        command.arg(seen.len()).arg(seen);
        let is_changed: bool = self.connections()?.query(&command).await?;
        if !is_changed {
            return Err(StoreError::outage(
                "this node's lease in Redis had ended, or Redis has lost its data",
            ));
        }
        self.number = next;
        Ok(())
    }

    /// Lists the nodes, compares their numbers, and reads the hashes of those that are unread.
    async fn poll_nodes(&mut self, now: UnixMillis) -> Result<Vec<StoreEvent>, StoreError> {
        let mut events = Vec::new();
        let nodes_key = self.keys.nodes.clone();
        let listed: BTreeSet<String> = self
            .connections()?
            .query(cmd("SMEMBERS").arg(nodes_key))
            .await?;
        let listed = listed.into_iter().map(Arc::<str>::from);
        let mut nodes: BTreeSet<Arc<str>> = listed.chain(self.peers.known()).collect();
        nodes.remove(&self.node);
        let mut asked = pipe();
        for node in &nodes {
            let key = format!("{}{node}", self.keys.node);
            asked.hget(&key, "").pttl(&key);
        }
        // Alternately a number, or nothing, and a time to live.
        let answers: Vec<Option<i64>> = match nodes.is_empty() {
            true => Vec::new(),
            false => self.connections()?.query_pipeline(&asked).await?,
        };
        let mut dead = Vec::new();
        for (node, answer) in nodes.iter().zip(answers.chunks_exact(2)) {
            let number = answer[0].and_then(|number| u64::try_from(number).ok());
            let left_ms = answer[1].and_then(|left| u64::try_from(left).ok());
            if number.is_none() {
                dead.push(&**node);
            }
            let renewed_at = self.renewed_at(now, left_ms.unwrap_or_default());
            events.extend(self.peers.handle_number(renewed_at, node, number));
        }
        if !dead.is_empty() {
            let command = cmd("SREM").arg(&self.keys.nodes).arg(dead).take();
            let () = self.connections()?.query(&command).await?;
        }
        for node in self.peers.unread() {
            events.extend(self.read(now, &node).await?);
        }
        self.polled_at = now;
        Ok(events)
    }

    /// Reads the whole hash of a node.
    async fn read(
        &mut self,
        now: UnixMillis,
        node: &Arc<str>,
    ) -> Result<Option<StoreEvent>, StoreError> {
        let key = format!("{}{node}", self.keys.node);
        let mut hash: BTreeMap<String, String> =
            self.connections()?.query(cmd("HGETALL").arg(key)).await?;
        let number = hash.remove("").and_then(|number| number.parse().ok());
        let Some(number) = number else {
            return Ok(self.peers.handle_number(now, node, None));
        };
        self.peers.handle_read(now, node, number);
        let clients = hash.into_iter().filter_map(|(client, devices)| {
            let devices = serde_json::from_str(&devices).ok()?;
            Some((Arc::from(client), notice::devices_from_wire(devices)))
        });
        Ok(Some(StoreEvent::NodeSnapshot {
            node: Arc::clone(node),
            at: now,
            clients: clients.collect(),
        }))
    }

    /// Reads the last-seen times, the latest first.
    async fn read_seen(&mut self) -> Result<Vec<(Arc<str>, UnixMillis)>, StoreError> {
        let mut seen = Vec::new();
        while seen.len() < self.seen_max {
            let command = cmd("ZREVRANGE")
                .arg(&self.keys.seen)
                .arg(seen.len())
                .arg(seen.len() + LAST_SEEN_PAGE - 1)
                .arg("WITHSCORES")
                .take();
            let page: Vec<(String, f64)> = self.connections()?.query(&command).await?;
            let is_last = page.len() < LAST_SEEN_PAGE;
            seen.extend(page.into_iter().map(|(client, at)| {
                // Written as whole milliseconds below 2^53.
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "scores are doubles"
                )]
                (Arc::from(client), UnixMillis(at as u64))
            }));
            if is_last {
                break;
            }
        }
        Ok(seen)
    }

    fn notice(&self, at: UnixMillis, event: Event) -> String {
        to_json(&Notice {
            node: self.node.to_string(),
            at: at.0,
            event,
        })
    }

    fn interval_max(&self) -> Duration {
        self.ttl / 8
    }
}

impl Keys {
    /// The braces put all of them into one slot of a Redis Cluster.
    fn new(prefix: &str) -> Self {
        Self {
            nodes: format!("{{{prefix}}}:nodes"),
            node: format!("{{{prefix}}}:node:"),
            seen: format!("{{{prefix}}}:seen"),
            changes: format!("{{{prefix}}}:changes"),
        }
    }
}

impl Store for Redis {
    async fn open(&mut self, now: UnixMillis) -> Result<Vec<StoreEvent>, StoreError> {
        self.connections = None;
        self.connections = Some(Connections::open(&self.client, &self.keys.changes).await?);
        // Messages published before the subscription were missed.
        self.peers.read_all_again();
        let mut events = self.poll_nodes(now).await?;
        events.push(StoreEvent::LastSeen(self.read_seen().await?));
        let next = self.next_hash();
        let () = self.connections()?.query(cmd("DEL").arg(next)).await?;
        self.is_replacing = true;
        self.answered_at = now;
        Ok(events)
    }

    async fn save(&mut self, batch: Batch) -> Result<Vec<StoreEvent>, StoreError> {
        match self.is_replacing {
            true => self.replace(&batch).await?,
            false => self.change(&batch).await?,
        }
        let mut events = Vec::new();
        if self.peers.has_unread() || batch.at.since(self.polled_at) >= self.interval_max() {
            events = self.poll_nodes(batch.at).await?;
        }
        self.answered_at = batch.at;
        Ok(events)
    }

    async fn next_event(&mut self) -> Result<Option<StoreEvent>, StoreError> {
        loop {
            let connections = self.connections.as_mut();
            let connections =
                connections.ok_or_else(|| StoreError::outage("Redis isn't connected"))?;
            let bytes = connections.next().await?;
            let notice = match serde_json::from_slice::<Notice>(&bytes) {
                Ok(notice) if *notice.node == *self.node => continue,
                Ok(notice) => notice,
                Err(error) => {
                    tracing::debug!(%error, "ignored a message on the presence channel that is not valid JSON of ours");
                    continue;
                }
            };
            // The sender was alive when it sent the message.
            let now = UnixMillis(notice.at).max(self.answered_at);
            let event = self.peers.handle_notice(now, notice);
            if event.is_some() || self.peers.has_unread() {
                return Ok(event);
            }
        }
    }

    fn expire(&mut self, now: UnixMillis) -> Option<StoreEvent> {
        if now.since(self.answered_at) < self.ttl {
            return None;
        }
        let at = self.peers.clear()?;
        Some(StoreEvent::AllNodesGone { at })
    }

    async fn close(&mut self) {
        let left = self.notice(self.answered_at, Event::Left);
        let mut commands = pipe();
        commands.del(self.hash()).ignore();
        commands.srem(&self.keys.nodes, &*self.node).ignore();
        commands.publish(&self.keys.changes, left).ignore();
        if let Some(connections) = &mut self.connections
            && let Err(error) = connections.query_pipeline::<()>(&commands).await
        {
            tracing::debug!(%error, "the lease was not released, it expires by itself");
        }
        self.connections = None;
    }

    fn save_timing(&self) -> Option<SaveTiming> {
        Some(SaveTiming {
            batch_delay: BATCH_DELAY,
            interval_max: self.interval_max(),
        })
    }
}

fn script(text: &str, keys: &[&str]) -> Cmd {
    cmd("EVAL").arg(text).arg(keys.len()).arg(keys).take()
}

fn note_last_seen(commands: &mut Pipeline, key: &str, client: &str, at: UnixMillis) {
    let command = commands.cmd("ZADD").arg(key).arg("GT");
    command.arg(at.0).arg(client).ignore();
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("numbers and strings are JSON")
}

/// The prefix of all keys.
const PREFIX: &str = "sockeye:presence";

/// Long enough that clients who connect at once go into one message, short enough that nobody notices.
const BATCH_DELAY: Duration = Duration::from_millis(20);

/// Last-seen times in one reply of Redis.
const LAST_SEEN_PAGE: usize = 10_000;
