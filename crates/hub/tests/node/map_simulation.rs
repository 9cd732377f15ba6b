//! Clients of maps in many random runs: whoever is subscribed has the map's entries, whatever happened before.

use std::{collections::BTreeMap, env, time::Duration};

use serde_json::{Value, json};
use sockeye_hub::{MapPublishing, MapStateQuery};

use crate::{
    maps::world,
    world::{Peer, World},
};
use random::Random;

#[path = "../node_simulation/random.rs"]
mod random;

const SEEDS: u64 = 300;
const STEPS: u32 = 150;
const CLIENTS: usize = 4;
const KEYS: u64 = 9;
const CHANNELS: [&str; 3] = ["short:a", "lasting:a", "kept:a"];

/// What a client does, as an SDK.
#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Idle,
    /// Behind this cursor.
    State(String),
    Stream,
    Live,
}

struct Reader {
    channel: &'static str,
    /// Whether it wants the entries with even keys alone.
    is_filtered: bool,
    peer: Option<Peer>,
    phase: Phase,
    entries: BTreeMap<String, Value>,
    offset: u64,
    epoch: String,
    /// Whether it has been live and may ask for what it missed.
    can_recover: bool,
}

impl Reader {
    fn drop_connection(&mut self) {
        if let Some(peer) = self.peer.take() {
            peer.client.close();
        }
        self.phase = Phase::Idle;
    }

    /// Asks for the next part, or begins.
    fn go_on(&mut self, world: &World, limit: u64) {
        let peer = self.peer.get_or_insert_with(|| world.connect());
        let mut request = json!({ "channel": self.channel, "type": 1, "limit": limit });
        if self.is_filtered {
            request["tf"] = json!({ "key": "sort", "cmp": "eq", "val": "even" });
        }
        let position = |request: &mut Value, offset: u64, epoch: &str| {
            request["offset"] = offset.into();
            request["epoch"] = epoch.into();
        };
        match &self.phase {
            Phase::Live => return,
            Phase::Idle if self.can_recover => {
                request["phase"] = 1.into();
                request["recover"] = true.into();
                position(&mut request, self.offset, &self.epoch);
            }
            Phase::Idle => {
                self.entries.clear();
                request["phase"] = 2.into();
            }
            Phase::State(cursor) => {
                request["phase"] = 2.into();
                request["cursor"] = cursor.as_str().into();
                position(&mut request, self.offset, &self.epoch);
            }
            Phase::Stream => {
                request["phase"] = 1.into();
                position(&mut request, self.offset, &self.epoch);
            }
        }
        let id = peer.send("subscribe", request);
        self.read(Some(id));
    }

    /// Takes in what has come.
    fn read(&mut self, asked: Option<u32>) {
        let Some(peer) = &self.peer else { return };
        for frame in peer.take() {
            match (frame["id"].as_u64(), asked) {
                (Some(id), Some(asked)) if id == u64::from(asked) => self.take_reply(&frame),
                (Some(_), _) => {}
                (None, _) => self.take_push(&frame["push"]),
            }
        }
        let Some(peer) = &self.peer else { return };
        if let Some(code) = peer.code() {
            assert_eq!(code, 3008, "only who is late is ended");
            self.drop_connection();
            self.can_recover = false;
        }
    }

    fn take_reply(&mut self, frame: &Value) {
        if let Some(code) = frame["error"]["code"].as_u64() {
            // What it had begun was forgotten, or can't be gone on with.
            assert!([112, 103].contains(&code), "{frame}");
            self.phase = Phase::Idle;
            self.can_recover = false;
            return;
        }
        let answer = &frame["subscribe"];
        for entry in answer["state"].as_array().into_iter().flatten() {
            self.apply(entry);
        }
        for change in answer["publications"].as_array().into_iter().flatten() {
            let offset = change["offset"].as_u64().unwrap();
            assert!(
                offset > self.offset || self.phase != Phase::Stream,
                "{change} again"
            );
            self.apply(change);
        }
        self.offset = answer["offset"].as_u64().unwrap_or(0);
        answer["epoch"]
            .as_str()
            .unwrap()
            .clone_into(&mut self.epoch);
        self.phase = match answer["phase"].as_u64().unwrap_or(0) {
            0 => {
                self.can_recover = answer["recoverable"] == true;
                Phase::Live
            }
            1 => Phase::Stream,
            _ => match answer["cursor"].as_str() {
                Some(cursor) => Phase::State(cursor.to_owned()),
                None => Phase::Stream,
            },
        };
    }

    fn take_push(&mut self, push: &Value) {
        let change = &push["pub"];
        assert!(change.is_object(), "{push}");
        assert_eq!(self.phase, Phase::Live, "{push} before the answer");
        if let Some(offset) = change["offset"].as_u64() {
            assert!(
                offset == self.offset + 1 || self.is_filtered && offset > self.offset,
                "{push} behind {}",
                self.offset
            );
            self.offset = offset;
        }
        self.apply(change);
    }

    fn apply(&mut self, change: &Value) {
        let key = change["key"].as_str().unwrap().to_owned();
        match change["removed"] == true {
            true => drop(self.entries.remove(&key)),
            false => drop(self.entries.insert(key, change["data"].clone())),
        }
    }

    fn wants(&self, key: &str) -> bool {
        !self.is_filtered || sort(key) == "even"
    }
}

fn sort(key: &str) -> &'static str {
    match key.as_bytes().last().is_some_and(|digit| digit % 2 == 0) {
        true => "even",
        false => "odd",
    }
}

/// Tells the seed of a run that fails.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("SEED={}", self.0);
        }
    }
}

struct Run {
    world: World,
    random: Random,
    readers: Vec<Reader>,
    written: u64,
    times_live: u64,
    times_recovered: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let readers = (0..CLIENTS).map(|at| Reader {
            channel: CHANNELS[at % CHANNELS.len()],
            is_filtered: at == CLIENTS - 1 || seed.is_multiple_of(2) && at == 1,
            peer: None,
            phase: Phase::Idle,
            entries: BTreeMap::new(),
            offset: 0,
            epoch: String::new(),
            can_recover: false,
        });
        Self {
            world: world(),
            random: Random(seed),
            readers: readers.collect(),
            written: 0,
            times_live: 0,
            times_recovered: 0,
        }
    }

    /// Lives through a whole run.
    async fn to_the_end(seed: u64) -> Self {
        let mut run = Self::new(seed);
        let told = Told(seed);
        // Without it tokio lets a lock that is free wait, so that other tasks have their turn, and replies come later.
        tokio::task::unconstrained(async {
            for _ in 0..STEPS {
                run.step().await;
            }
        })
        .await;
        for reader in &mut run.readers {
            reader.drop_connection();
        }
        assert!(run.world.node.channels().is_empty());
        drop(told);
        run
    }

    async fn step(&mut self) {
        let at = self.random.below(CLIENTS as u64) as usize;
        let channel = CHANNELS[self.random.below(CHANNELS.len() as u64) as usize];
        let key = format!("k{}", self.random.below(KEYS));
        match self.random.below(30) {
            0..=10 => self.set(channel, &key).await,
            11..=13 => {
                let removed = self.world.node.map_remove(channel, &key, None).await;
                removed.unwrap();
            }
            14 if self.random.below(10) == 0 => {
                self.world.node.map_clear(channel).await.unwrap();
            }
            15 => {
                let seconds = 1 + self.random.below(40);
                self.world.pass(Duration::from_secs(seconds)).await;
            }
            16..=17 => self.readers[at].drop_connection(),
            18 => {
                let reader = &mut self.readers[at];
                if let Some(peer) = &mut reader.peer {
                    peer.send("unsubscribe", json!({ "channel": reader.channel }));
                    reader.read(None);
                    reader.phase = Phase::Idle;
                }
            }
            _ => {
                let limit = 1 + self.random.below(5);
                let reader = &mut self.readers[at];
                let came_back = reader.phase == Phase::Idle && reader.can_recover;
                reader.go_on(&self.world, limit);
                let is_live = reader.phase == Phase::Live;
                self.times_live += u64::from(is_live);
                self.times_recovered += u64::from(is_live && came_back);
            }
        }
        self.compare().await;
    }

    async fn set(&mut self, channel: &str, key: &str) {
        self.written += 1;
        let how = MapPublishing {
            tags: [("sort", sort(key))].into_iter().collect(),
            ..MapPublishing::default()
        };
        let data = self.written.to_string();
        let published = self.world.node.map_publish(channel, key, data, how).await;
        published.unwrap();
    }

    /// Whoever is subscribed has all entries, and no others.
    async fn compare(&mut self) {
        for channel in CHANNELS {
            let query = MapStateQuery {
                limit: 99,
                ..MapStateQuery::default()
            };
            let state = self.world.node.map_state(channel, query).await.unwrap();
            for reader in &mut self.readers {
                reader.read(None);
                if reader.channel != channel || reader.phase != Phase::Live {
                    continue;
                }
                let entries = state.entries.iter().map(|entry| {
                    let key = entry.change.as_ref().unwrap().key.to_string();
                    (key, serde_json::from_slice(&entry.data).unwrap())
                });
                let expected: BTreeMap<String, Value> =
                    entries.filter(|(key, _)| reader.wants(key)).collect();
                assert_eq!(reader.entries, expected, "{channel}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_subscribed_has_the_entries_of_the_map() {
    let (mut live, mut recovered) = (0, 0);
    for seed in 0..SEEDS {
        let run = Run::to_the_end(seed).await;
        (live, recovered) = (live + run.times_live, recovered + run.times_recovered);
    }
    assert!(live > SEEDS && recovered > SEEDS / 2, "{live} {recovered}");
}

/// `make simulate SEEDS=100000`, or `SEED=7` for one alone.
#[tokio::test(start_paused = true)]
#[ignore = "as many seeds as SEEDS says"]
async fn many_seeds() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    if let Some(seed) = number("SEED") {
        Run::to_the_end(seed).await;
        return;
    }
    let seeds = number("SEEDS").unwrap_or(10_000);
    for seed in 0..seeds {
        Run::to_the_end(seed).await;
        if (seed + 1) % 1000 == 0 {
            println!("{} of {seeds} seeds", seed + 1);
        }
    }
}
