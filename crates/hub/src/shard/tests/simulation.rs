//! Thousands of random runs against a model that knows what each client must have seen.
//!
//! The broker of the simulation assigns offsets at once, and delivers later, in order; it may lose a delivery, deliver
//! one twice, and begin a new history. Clients subscribe, read the history late, come and go.

use random::Random;

use super::*;
use crate::{History, namespace::RecoveryMode, shard::RecoveryRequest};

// The simulation of nodes has it too.
#[path = "../../../tests/node_simulation/random.rs"]
mod random;

const SEEDS: u64 = 4_000;
const STEPS: u32 = 120;
const CLIENTS: u64 = 5;
const HISTORY_SIZE: u64 = 8;

/// What a client knows, as an SDK does.
#[derive(Clone, Default)]
struct Seen {
    position: StreamPosition,
    /// Publications that it was given since it began with its present epoch, by offset.
    offsets: Vec<u64>,
}

enum Subscription {
    None,
    Reading(Generation),
    Open(Generation),
}

struct Simulation {
    world: World,
    random: Random,
    epoch: u64,
    /// Offset of the newest publication.
    top: u64,
    /// Assigned, and not delivered yet.
    on_the_way: std::collections::VecDeque<(u64, u64)>,
    seen: Vec<Seen>,
    subscriptions: Vec<Subscription>,
    /// How many items of each client were looked at.
    looked_at: Vec<usize>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        Self {
            world: World::default(),
            random: Random(seed),
            epoch: 1,
            top: 0,
            on_the_way: std::collections::VecDeque::new(),
            seen: vec![Seen::default(); CLIENTS as usize],
            subscriptions: (0..CLIENTS).map(|_| Subscription::None).collect(),
            looked_at: vec![0; CLIENTS as usize],
        }
    }

    fn position(&self) -> StreamPosition {
        position(self.top, &self.epoch.to_string())
    }

    fn history(&self, since: u64) -> History {
        let first = self.top.saturating_sub(HISTORY_SIZE - 1).max(1);
        let from = first.max(since + 1);
        History {
            publications: (from..=self.top).map(publication).collect(),
            position: self.position(),
        }
    }

    fn step(&mut self) {
        let client = self.random.below(CLIENTS);
        match self.random.below(20) {
            0..=5 => {
                self.top += 1;
                self.on_the_way.push_back((self.epoch, self.top));
            }
            6..=11 => self.deliver(),
            12 if self.random.below(4) == 0 => {
                // Lost on the way.
                self.on_the_way.pop_front();
            }
            13 if self.random.below(8) == 0 => {
                self.epoch += 1;
                self.top = 0;
            }
            14 => {
                let top = self.position();
                self.world.check(&top);
                self.end_insufficient();
            }
            15 => self.leave(client),
            _ => self.go_on(client),
        }
    }

    fn deliver(&mut self) {
        let Some((epoch, offset)) = self.on_the_way.pop_front() else {
            return;
        };
        let times = if self.random.below(10) == 0 { 2 } else { 1 };
        for _ in 0..times {
            let position = position(offset, &epoch.to_string());
            self.world.publish(&publication(offset), Some(&position));
        }
        self.look(Some(epoch));
        self.end_insufficient();
    }

    /// Subscribes a client, or finishes what it began.
    fn go_on(&mut self, client: u64) {
        let at = client as usize;
        match self.subscriptions[at] {
            Subscription::None => {
                let variant = match client % 2 {
                    0 => variant(),
                    _ => delta_variant(),
                };
                let generation = self.world.begin(client, variant);
                self.subscriptions[at] = Subscription::Reading(generation);
            }
            Subscription::Reading(generation) => {
                let since = self.seen[at].position.clone();
                let history = self.history(since.offset);
                let recovery = RecoveryRequest {
                    since,
                    mode: RecoveryMode::Stream,
                }
                .answer(history, 300);
                let seen = &mut self.seen[at];
                if recovery.is_recovered {
                    for publication in &recovery.publications {
                        seen.offsets.push(publication.offset);
                    }
                } else {
                    seen.offsets.clear();
                }
                seen.position = recovery.position.clone();
                self.subscriptions[at] = Subscription::Open(generation);
                let position = recovery.position;
                self.world.release(client, generation, Some(position));
                self.look(None);
                self.end_insufficient();
            }
            Subscription::Open(_) => {}
        }
    }

    fn leave(&mut self, client: u64) {
        let at = client as usize;
        if let Subscription::Reading(generation) | Subscription::Open(generation) =
            self.subscriptions[at]
        {
            assert!(self.world.remove(client, generation));
            self.subscriptions[at] = Subscription::None;
        }
    }

    /// A client that is told that it has missed something subscribes again, from the position that it knows.
    fn end_insufficient(&mut self) {
        for (key, generation) in std::mem::take(&mut self.world.insufficient) {
            if self.world.remove(key.0, generation) {
                self.subscriptions[key.0 as usize] = Subscription::None;
            }
        }
    }

    /// Takes in what the clients were sent, as their SDKs do.
    fn look(&mut self, epoch: Option<u64>) {
        for client in 0..CLIENTS {
            let at = client as usize;
            let offsets = self.world.offsets(client);
            for offset in &offsets[self.looked_at[at]..] {
                let seen = &mut self.seen[at];
                assert_eq!(
                    *offset,
                    seen.position.offset + 1,
                    "client {client} is given a hole, or something twice"
                );
                if let Some(epoch) = epoch {
                    assert_eq!(
                        seen.position.epoch.as_str(),
                        epoch.to_string(),
                        "client {client} is given another history"
                    );
                }
                seen.position.offset = *offset;
                seen.offsets.push(*offset);
            }
            self.looked_at[at] = offsets.len();
        }
    }

    /// Lets all come to rest: then every client has everything up to the top, or has been told.
    fn settle(&mut self) {
        while !self.on_the_way.is_empty() {
            self.deliver();
        }
        // Two checks find what was lost without a successor, and a new history without a publication.
        for _ in 0..2 {
            let top = self.position();
            self.world.check(&top);
            self.end_insufficient();
        }
        for client in 0..CLIENTS {
            for _ in 0..2 {
                self.go_on(client);
            }
            let at = client as usize;
            assert_eq!(self.seen[at].position, self.position(), "client {client}");
            let offsets = &self.seen[at].offsets;
            assert!(
                offsets.windows(2).all(|pair| pair[1] == pair[0] + 1),
                "client {client} has seen {offsets:?}"
            );
        }
        for client in 0..CLIENTS {
            self.leave(client);
        }
        assert!(self.world.lists.is_empty());
        assert_eq!(self.world.shard.channels().count(), 0);
    }
}

#[test]
fn nobody_misses_anything_without_being_told() {
    let only = std::env::var("SEED").ok().map(|seed| seed.parse().unwrap());
    let mut differences = 0;
    for seed in only.map_or(0..SEEDS, |seed: u64| seed..seed + 1) {
        let run = std::panic::catch_unwind(|| {
            let mut simulation = Simulation::new(seed);
            for _ in 0..STEPS {
                simulation.step();
            }
            simulation.settle();
            simulation.world.differences
        });
        assert!(run.is_ok(), "repeat with SEED={seed}");
        differences += run.unwrap_or(0);
    }
    assert!(differences > 0, "nobody was sent a difference");
}
