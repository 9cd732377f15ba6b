//! This node's part in Redis: its lease, its changes, its look at the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use redis::{Client, Cmd, Pipeline, cmd, pipe};

use super::{
    link::Link,
    notice::{self, Event, Notice, NoticedDevice},
    peers::Peers,
    script,
};
use crate::{
    StoreError, UnixMillis,
    presence::{
        Limits, Store,
        store::{Batch, News, Pace, Saved, State},
    },
};

/// The store that several nodes share.
///
/// A node that dies, or that Redis doesn't hear of, has no clients any more after the time to live that all
/// nodes are given alike: its lease ends after three quarters of it, and the others look eight times in it. A
/// node that doesn't reach Redis for that long shows its own clients alone.
#[derive(Debug)]
pub struct Redis {
    client: Client,
    node: Arc<str>,
    keys: Keys,
    ttl: Duration,
    seen_max: usize,
    link: Option<Link>,
    /// The number of this node's last change.
    number: u64,
    /// Whether batches gather in the hash that will take the place of the other.
    is_replacing: bool,
    peers: Peers,
    /// When Redis last answered.
    answered_at: UnixMillis,
    /// When the others were last looked at.
    looked_at: UnixMillis,
}

#[derive(Debug)]
struct Keys {
    nodes: String,
    /// Before a node's name.
    node: String,
    seen: String,
    changes: String,
}

impl Redis {
    /// The shortest time to live. Below it a busy machine would lose its lease.
    pub const TTL_MIN: Duration = Duration::from_secs(1);

    /// The store at `url`, `redis://[[user]:password@]host[:port][/database]` or `redis+unix:///path`. Nothing is
    /// dialled yet. `ttl` is how long the clients of a dead node are still shown.
    ///
    /// # Errors
    ///
    /// The URL can't be understood, `ttl` is below [`Redis::TTL_MIN`], or the system gives no random numbers.
    pub fn new(url: &str, ttl: Duration, limits: &Limits) -> Result<Self, StoreError> {
        if ttl < Self::TTL_MIN {
            let message = format!("a time to live of {ttl:?} is below {:?}", Self::TTL_MIN);
            return Err(StoreError::unusable(message));
        }
        // Without the URL, which may hold a password.
        let client = Client::open(url)
            .map_err(|error| StoreError::unusable(format!("the URL of Redis: {error}")))?;
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|error| StoreError::unusable(format!("no random numbers: {error}")))?;
        let node = format!("{:016x}", u64::from_ne_bytes(random));
        Ok(Self {
            client,
            keys: Keys {
                nodes: format!("{PREFIX}:nodes"),
                node: format!("{PREFIX}:node:"),
                seen: format!("{PREFIX}:seen"),
                changes: format!("{PREFIX}:changes"),
            },
            node: node.into(),
            ttl,
            seen_max: limits.clients_max,
            link: None,
            number: 0,
            is_replacing: false,
            peers: Peers::default(),
            answered_at: UnixMillis(0),
            looked_at: UnixMillis(0),
        })
    }

    fn link(&mut self) -> Result<&mut Link, StoreError> {
        let link = self.link.as_mut();
        link.ok_or_else(|| StoreError::outage("Redis isn't connected"))
    }

    fn hash(&self) -> String {
        format!("{}{}", self.keys.node, self.node)
    }

    /// The hash that is written before it takes the other's place.
    fn next_hash(&self) -> String {
        format!("{}:next", self.hash())
    }

    fn lease_ms(&self) -> u64 {
        u64::try_from((self.ttl * 3 / 4).as_millis()).unwrap_or(u64::MAX)
    }

    /// When a lease with so much left was renewed: that, and not that there is a hash, is a sign of life.
    fn renewed_at(&self, now: UnixMillis, left_ms: u64) -> UnixMillis {
        UnixMillis(
            now.0
                .saturating_sub(self.lease_ms().saturating_sub(left_ms)),
        )
    }

    /// Adds to the hash that is going to be the node's, and puts it in place with the last batch.
    async fn replace(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let next = self.next_hash();
        let mut commands = pipe();
        for Saved { client, state } in &batch.clients {
            match state {
                State::Here { devices, .. } => {
                    let found = to_json(&notice::noticed(devices));
                    commands.hset(&next, &**client, found).ignore();
                    note_seen(&mut commands, &self.keys.seen, client, batch.at);
                }
                State::Away { last_seen } => {
                    note_seen(&mut commands, &self.keys.seen, client, *last_seen);
                }
                State::Elsewhere | State::Forgotten => {}
            }
        }
        commands.hset(&next, "", self.number).ignore();
        commands
            .cmd("PEXPIRE")
            .arg(&next)
            .arg(self.lease_ms())
            .ignore();
        let () = self.link()?.ask_all(&commands).await?;
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
            let () = self.link()?.ask(&command).await?;
            self.is_replacing = false;
        }
        Ok(())
    }

    /// Changes the hash and renews its lease.
    async fn change(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut here = Vec::new();
        let mut left = Vec::new();
        let mut seen = Vec::new();
        let mut changed: Vec<(String, Vec<NoticedDevice>)> = Vec::new();
        for Saved { client, state } in &batch.clients {
            let mut found = Vec::new();
            match state {
                State::Here { devices, .. } => {
                    found = notice::noticed(devices);
                    here.push((&**client, to_json(&found)));
                    seen.push((batch.at.0, &**client));
                }
                State::Away { last_seen } => {
                    left.push(&**client);
                    seen.push((last_seen.0, client));
                }
                State::Elsewhere | State::Forgotten => left.push(client),
            }
            changed.push((client.to_string(), found));
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
        let is_changed: bool = self.link()?.ask(&command).await?;
        if !is_changed {
            return Err(StoreError::outage(
                "this node's lease in Redis had ended, or Redis has lost its data",
            ));
        }
        self.number = next;
        Ok(())
    }

    /// Looks which nodes there are and how far they are, and reads those that were not followed.
    async fn look(&mut self, now: UnixMillis) -> Result<Vec<News>, StoreError> {
        let mut news = Vec::new();
        let nodes_key = self.keys.nodes.clone();
        let listed: BTreeSet<String> = self.link()?.ask(cmd("SMEMBERS").arg(nodes_key)).await?;
        let listed = listed.into_iter().map(Arc::<str>::from);
        let mut nodes: BTreeSet<Arc<str>> = listed.chain(self.peers.known()).collect();
        nodes.remove(&self.node);
        let mut asked = pipe();
        for node in &nodes {
            let key = format!("{}{node}", self.keys.node);
            asked.hget(&key, "").pttl(&key);
        }
        // By turns a number, or nothing, and a time to live.
        let answers: Vec<Option<i64>> = match nodes.is_empty() {
            true => Vec::new(),
            false => self.link()?.ask_all(&asked).await?,
        };
        let mut dead = Vec::new();
        for (node, answer) in nodes.iter().zip(answers.chunks_exact(2)) {
            let number = answer[0].and_then(|number| u64::try_from(number).ok());
            let left_ms = answer[1].and_then(|left| u64::try_from(left).ok());
            if number.is_none() {
                dead.push(&**node);
            }
            let renewed_at = self.renewed_at(now, left_ms.unwrap_or_default());
            news.extend(self.peers.handle_number(renewed_at, node, number));
        }
        if !dead.is_empty() {
            let command = cmd("SREM").arg(&self.keys.nodes).arg(dead).take();
            let () = self.link()?.ask(&command).await?;
        }
        for node in self.peers.unread() {
            news.extend(self.read(now, &node).await?);
        }
        self.looked_at = now;
        Ok(news)
    }

    /// Reads all that is on a node.
    async fn read(&mut self, now: UnixMillis, node: &Arc<str>) -> Result<Option<News>, StoreError> {
        let key = format!("{}{node}", self.keys.node);
        let mut hash: BTreeMap<String, String> = self.link()?.ask(cmd("HGETALL").arg(key)).await?;
        let number = hash.remove("").and_then(|number| number.parse().ok());
        let Some(number) = number else {
            return Ok(self.peers.handle_number(now, node, None));
        };
        self.peers.handle_read(now, node, number);
        let clients = hash.into_iter().filter_map(|(client, devices)| {
            let devices = serde_json::from_str(&devices).ok()?;
            Some((Arc::from(client), notice::devices(devices)))
        });
        Ok(Some(News::Node {
            node: Arc::clone(node),
            at: now,
            clients: clients.collect(),
        }))
    }

    /// Reads when those who are away were last seen, the latest first.
    async fn read_seen(&mut self) -> Result<Vec<(Arc<str>, UnixMillis)>, StoreError> {
        let mut seen = Vec::new();
        while seen.len() < self.seen_max {
            let command = cmd("ZREVRANGE")
                .arg(&self.keys.seen)
                .arg(seen.len())
                .arg(seen.len() + SEEN_PAGE - 1)
                .arg("WITHSCORES")
                .take();
            let page: Vec<(String, f64)> = self.link()?.ask(&command).await?;
            let is_last = page.len() < SEEN_PAGE;
            seen.extend(page.into_iter().map(|(client, at)| {
                // Whole milliseconds below 2^53, as they were written.
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

    fn beat(&self) -> Duration {
        self.ttl / 8
    }
}

impl Store for Redis {
    async fn open(&mut self, now: UnixMillis) -> Result<Vec<News>, StoreError> {
        self.link = None;
        self.link = Some(Link::open(&self.client, &self.keys.changes).await?);
        // What was published until now was heard by nobody here.
        self.peers.read_all_again();
        let mut news = self.look(now).await?;
        news.push(News::Seen(self.read_seen().await?));
        let next = self.next_hash();
        let () = self.link()?.ask(cmd("DEL").arg(next)).await?;
        self.is_replacing = true;
        self.answered_at = now;
        Ok(news)
    }

    async fn save(&mut self, batch: Batch) -> Result<Vec<News>, StoreError> {
        match self.is_replacing {
            true => self.replace(&batch).await?,
            false => self.change(&batch).await?,
        }
        let mut news = Vec::new();
        if self.peers.has_unread() || batch.at.since(self.looked_at) >= self.beat() {
            news = self.look(batch.at).await?;
        }
        self.answered_at = batch.at;
        Ok(news)
    }

    async fn news(&mut self) -> Result<Option<News>, StoreError> {
        loop {
            let link = self.link.as_mut();
            let link = link.ok_or_else(|| StoreError::outage("Redis isn't connected"))?;
            let bytes = link.next().await?;
            let notice = match serde_json::from_slice::<Notice>(&bytes) {
                Ok(notice) if *notice.node == *self.node => continue,
                Ok(notice) => notice,
                Err(error) => {
                    tracing::debug!(%error, "a message that isn't ours on the channel of presence");
                    continue;
                }
            };
            // A message is a sign of life at the time that it tells.
            let now = UnixMillis(notice.at).max(self.answered_at);
            let news = self.peers.handle_notice(now, notice);
            if news.is_some() || self.peers.has_unread() {
                return Ok(news);
            }
        }
    }

    fn lost(&mut self, now: UnixMillis) -> Option<News> {
        if now.since(self.answered_at) < self.ttl {
            return None;
        }
        let at = self.peers.clear()?;
        Some(News::Alone { at })
    }

    async fn close(&mut self) {
        let left = self.notice(self.answered_at, Event::Left);
        let mut commands = pipe();
        commands.del(self.hash()).ignore();
        commands.srem(&self.keys.nodes, &*self.node).ignore();
        commands.publish(&self.keys.changes, left).ignore();
        if let Some(link) = &mut self.link
            && let Err(error) = link.ask_all::<()>(&commands).await
        {
            tracing::debug!(%error, "the lease was not given back, it ends by itself");
        }
        self.link = None;
    }

    fn pace(&self) -> Option<Pace> {
        Some(Pace {
            gather: GATHER,
            beat: self.beat(),
        })
    }
}

fn script(text: &str, keys: &[&str]) -> Cmd {
    cmd("EVAL").arg(text).arg(keys.len()).arg(keys).take()
}

fn note_seen(commands: &mut Pipeline, key: &str, client: &str, at: UnixMillis) {
    let command = commands.cmd("ZADD").arg(key).arg("GT");
    command.arg(at.0).arg(client).ignore();
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("numbers and strings are JSON")
}

/// Before all keys. The braces make them one slot of a Redis Cluster.
const PREFIX: &str = "{sockeye:presence}";

/// Long enough that many who come at once are one message, short enough that nobody sees it.
const GATHER: Duration = Duration::from_millis(20);

/// Last-seen times in one answer.
const SEEN_PAGE: usize = 10_000;
