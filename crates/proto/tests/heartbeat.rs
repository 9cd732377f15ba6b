//! The heartbeat over many seeds, on a virtual wire with a clock that the test moves: loss, stalls,
//! back-pressure, and clocks that jump.
//!
//! Two promises: a peer whose bytes come within the timeout is never given up; one that has vanished is,
//! within interval + timeout of the time in which it could be heard.

use std::time::Duration;

use sockeye_proto::{Heartbeat, HeartbeatAction, HeartbeatConfig, Pong, ReadState};

const SEEDS: u64 = 5000;

/// Who looks is this late at most, as a wheel's tick is.
const TICK: Duration = Duration::from_millis(16);

/// splitmix64.
struct Luck(u64);

impl Luck {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from + 1))
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// One end of a connection, its wire and its peer. All times are since the origin.
struct World {
    luck: Luck,
    config: HeartbeatConfig,
    heartbeat: Heartbeat,
    now: Duration,
    /// Bytes on their way to us: when they come, and whose pong they are.
    arriving: Vec<(Duration, Option<[u8; 8]>)>,
    /// Until when reading is paused.
    paused_until: Duration,
    /// From then on the peer hears and says nothing.
    vanishes_at: Option<Duration>,
    /// Whether some pings can't be sent, because the outbox is full.
    is_full_at_times: bool,
    pings: usize,
    latencies: Vec<Duration>,
}

const KEY: u64 = 42;

impl World {
    fn new(seed: u64) -> Self {
        let mut luck = Luck(seed);
        let config = HeartbeatConfig::new(luck.millis(100, 30_000), luck.millis(100, 20_000));
        let now = luck.millis(0, 1_000_000);
        let first_at = now
            + config
                .interval
                .mul_f64((1 + luck.below(1000)) as f64 / 1000.0);
        Self {
            heartbeat: Heartbeat::new(first_at, &config),
            luck,
            config,
            now,
            arriving: Vec::new(),
            paused_until: Duration::ZERO,
            vanishes_at: None,
            is_full_at_times: true,
            pings: 0,
            latencies: Vec::new(),
        }
    }

    fn is_paused(&self) -> bool {
        self.now < self.paused_until
    }

    /// Reads what has come by now.
    fn read(&mut self) {
        if self.is_paused() {
            return;
        }
        let now = self.now;
        let arrived = self.arriving.extract_if(.., |(at, _)| *at <= now);
        for (_, pong) in arrived {
            self.heartbeat.handle_bytes();
            if let Some(payload) = pong
                && let Pong::Ours(Some(latency)) = self.heartbeat.handle_pong(&payload, KEY, now)
            {
                self.latencies.push(latency);
            }
        }
    }

    fn look(&mut self) -> HeartbeatAction {
        self.read();
        let read_state = match self.is_paused() {
            true => ReadState::Paused,
            false => ReadState::CaughtUp,
        };
        let action = self
            .heartbeat
            .handle_timeout(self.now, &self.config, read_state);
        if action == HeartbeatAction::Ping {
            self.pings += 1;
            if self.is_full_at_times && self.luck.one_in(10) {
                self.heartbeat.withdraw();
            } else {
                self.answer();
            }
        }
        action
    }

    /// The peer answers a ping, if it is there: with a pong, or with another byte, within the timeout.
    fn answer(&mut self) {
        let most = self.config.timeout.as_millis() as u64;
        let at = self.now + self.luck.millis(0, most);
        if self.vanishes_at.is_some_and(|vanishes_at| vanishes_at < at) {
            return;
        }
        let pong = (!self.luck.one_in(4)).then(|| self.heartbeat.payload(KEY));
        self.arriving.push((at, pong));
    }

    /// To the next moment at which anything happens, or beyond it.
    fn pass(&mut self) {
        let due = self.heartbeat.poll_timeout(self.now, &self.config);
        assert!(due > self.now, "a look that is due at once would never end");
        let arrival = self.arriving.iter().map(|(at, _)| *at).min();
        let resumes = self.is_paused().then_some(self.paused_until);
        // What comes while reading is paused doesn't wake anybody.
        let arrival = arrival.filter(|_| !self.is_paused());
        let wakes = [
            Some(due + self.luck.millis(0, TICK.as_millis() as u64)),
            arrival,
            resumes,
        ];
        let next = wakes.into_iter().flatten().min().unwrap();
        self.now = next.max(self.now);
    }
}

#[test]
fn a_peer_that_answers_in_time_is_never_given_up() {
    let (mut pings, mut latencies) = (0, 0);
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for step in 0..300 {
            match world.luck.below(12) {
                // The program doesn't take what comes.
                0 => world.paused_until = world.now + world.luck.millis(0, 60_000),
                // The peer says something by itself.
                1 => {
                    let at = world.now + world.luck.millis(0, 5000);
                    world.arriving.push((at, None));
                }
                // The machine sleeps, or is overloaded: what comes meanwhile is there when it wakes.
                2 if world.luck.one_in(5) => world.now += world.luck.millis(0, 10_000_000),
                // Somebody forges pongs.
                3 => {
                    let forged = world.luck.below(u64::MAX).to_be_bytes();
                    let pong = world.heartbeat.handle_pong(&forged, KEY, world.now);
                    assert_eq!(pong, Pong::Foreign, "seed {seed}");
                }
                _ => world.pass(),
            }
            assert_ne!(
                world.look(),
                HeartbeatAction::Dead,
                "seed {seed}, step {step}"
            );
        }
        pings += world.pings;
        latencies += world.latencies.len();
    }
    assert!(pings > SEEDS as usize * 10, "{pings}");
    assert!(latencies > SEEDS as usize, "{latencies}");
}

/// What was on its way when both machines slept has to be sent again, which takes TCP a while.
#[test]
fn a_peer_whose_answer_was_lost_with_the_sleeping_network_has_time_to_repeat_it() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.is_full_at_times = false;
        loop {
            world.pass();
            if world.look() == HeartbeatAction::Ping {
                break;
            }
        }
        // The answer is lost; the machine sleeps for more than one and a half of the timeout.
        world.arriving.clear();
        world.now += world.config.timeout * 3 / 2 + world.luck.millis(1, 1_000_000);
        assert_eq!(world.look(), HeartbeatAction::Ping, "seed {seed}");
        // From here on all is well.
        for _ in 0..50 {
            world.pass();
            assert_ne!(world.look(), HeartbeatAction::Dead, "seed {seed}");
        }
    }
}

#[test]
fn a_peer_that_has_vanished_is_given_up_in_time() {
    let mut worst = 0.0_f64;
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        // A life before, with all that may happen in it.
        for _ in 0..world.luck.below(100) {
            if world.luck.one_in(10) {
                world.paused_until = world.now + world.luck.millis(0, 60_000);
            }
            world.pass();
            assert_ne!(world.look(), HeartbeatAction::Dead, "seed {seed}");
        }
        world.vanishes_at = Some(world.now);
        world.is_full_at_times = false;
        // What it has said still comes, and can be heard when nothing keeps us from reading.
        let last = world.arriving.iter().map(|(at, _)| *at).max();
        let heard = last
            .unwrap_or(world.now)
            .max(world.paused_until)
            .max(world.now);
        let bound = world.config.interval + world.config.timeout;
        loop {
            world.pass();
            if world.look() == HeartbeatAction::Dead {
                break;
            }
            assert!(world.now < heard + bound * 100, "seed {seed}: never");
        }
        let took = world.now.saturating_sub(heard);
        // The ping may be late by a tick, and so may the end.
        assert!(
            took <= bound + 2 * TICK,
            "seed {seed}: {took:?}, bound {bound:?}"
        );
        worst = worst.max(took.as_secs_f64() / bound.as_secs_f64());
    }
    // The bound is no more than it has to be.
    assert!(worst > 0.9, "{worst}");
}
