//! The heartbeat over many seeds, on a simulated network with a clock that the test moves: loss, stalls, back-pressure and
//! clocks that jump.
//!
//! Two promises: a peer whose bytes come within the timeout is never given up. A peer that has vanished is given up within
//! interval + timeout, not counting the time in which reading is paused.

use std::time::Duration;

use sockeye_proto::{Heartbeat, HeartbeatAction, HeartbeatConfig, Pong, ReadState};

const SEEDS: u64 = 5000;

/// The driver calls `handle_timeout` this late at most: one tick of a timer wheel.
const TICK: Duration = Duration::from_millis(16);

/// A random number generator: splitmix64.
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

/// One end of a connection, its network and its peer. All times are since the origin.
struct World {
    luck: Luck,
    config: HeartbeatConfig,
    heartbeat: Heartbeat,
    now: Duration,
    /// Bytes on their way to us: when they arrive, and the payload of the pong that they are.
    arriving: Vec<(Duration, Option<[u8; 8]>)>,
    /// When reading goes on.
    paused_until: Duration,
    /// When the peer vanishes.
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

    /// Reads everything that has arrived.
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

    /// Lets the peer answer a ping within the timeout, with a pong or with another byte, unless it has vanished.
    fn answer(&mut self) {
        let most = self.config.timeout.as_millis() as u64;
        let at = self.now + self.luck.millis(0, most);
        if self.vanishes_at.is_some_and(|vanishes_at| vanishes_at < at) {
            return;
        }
        let pong = (!self.luck.one_in(4)).then(|| self.heartbeat.payload(KEY));
        self.arriving.push((at, pong));
    }

    /// Moves the clock to the next event, or beyond it.
    fn pass(&mut self) {
        let due = self.heartbeat.poll_timeout(self.now, &self.config);
        assert!(due > self.now, "a look that is due at once would never end");
        let arrival = self.arriving.iter().map(|(at, _)| *at).min();
        let resumes = self.is_paused().then_some(self.paused_until);
        // Bytes that arrive while reading is paused wake nobody.
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
                // The program stops receiving.
                0 => world.paused_until = world.now + world.luck.millis(0, 60_000),
                // The peer sends something unasked.
                1 => {
                    let at = world.now + world.luck.millis(0, 5000);
                    world.arriving.push((at, None));
                }
                // The machine sleeps or is overloaded. What arrives meanwhile is there when it wakes.
                2 if world.luck.one_in(5) => world.now += world.luck.millis(0, 10_000_000),
                // The peer forges pongs.
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

/// TCP takes a while to send again what was on its way when both machines fell asleep.
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
        // From here on no bytes are lost.
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
        // Before it vanishes, anything may happen.
        for _ in 0..world.luck.below(100) {
            if world.luck.one_in(10) {
                world.paused_until = world.now + world.luck.millis(0, 60_000);
            }
            world.pass();
            assert_ne!(world.look(), HeartbeatAction::Dead, "seed {seed}");
        }
        world.vanishes_at = Some(world.now);
        world.is_full_at_times = false;
        // What the peer has sent still arrives, and is read while reading is not paused.
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
        // The ping may be late by a tick, and so may `Dead`.
        assert!(
            took <= bound + 2 * TICK,
            "seed {seed}: {took:?}, bound {bound:?}"
        );
        worst = worst.max(took.as_secs_f64() / bound.as_secs_f64());
    }
    // The bound is tight.
    assert!(worst > 0.9, "{worst}");
}
