use proptest::prelude::*;

use super::*;

const BACKOFF: Backoff = Backoff {
    base: Duration::from_millis(500),
    max: Duration::from_secs(30),
};

fn config() -> ScheduleConfig {
    ScheduleConfig {
        backoff: BACKOFF,
        uptime_min: Duration::from_secs(10),
        attempts_max: None,
        elapsed_max: None,
        hint_max: Duration::from_secs(3600),
    }
}

/// Returns the upper limit of a delay after so many failures.
fn ceiling(failures: u32) -> Duration {
    BACKOFF.delay(failures, u64::MAX) + Duration::from_nanos(1)
}

/// Random numbers that a test can repeat: SplitMix64.
struct SplitMix(u64);

impl SplitMix {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[test]
fn only_a_connection_that_lasted_resets_the_count() {
    let mut schedule = Schedule::new(config(), Duration::ZERO);
    let mut now = Duration::ZERO;
    for failures in 1..4 {
        let delay = schedule.handle_lost(now, None, u64::MAX).unwrap();
        assert_eq!(delay + Duration::from_nanos(1), ceiling(failures));
        now += delay;
    }
    schedule.handle_opened(now);
    let soon = now + Duration::from_millis(9_999);
    let delay = schedule.handle_lost(soon, None, u64::MAX).unwrap();
    assert_eq!(delay + Duration::from_nanos(1), ceiling(4));

    schedule.handle_opened(soon);
    let later = soon + Duration::from_secs(10);
    let delay = schedule.handle_lost(later, None, u64::MAX).unwrap();
    assert_eq!(delay + Duration::from_nanos(1), ceiling(0));
}

#[test]
fn attempts_have_a_maximum_that_a_lasting_connection_renews() {
    let mut config = config();
    config.attempts_max = Some(2);
    let mut schedule = Schedule::new(config, Duration::ZERO);
    let second = Duration::from_secs(1);
    assert!(schedule.handle_lost(second, None, 0).is_some());
    schedule.handle_opened(second);
    assert!(schedule.handle_lost(20 * second, None, 0).is_some());
    assert!(schedule.handle_lost(21 * second, None, 0).is_some());
    assert_eq!(schedule.handle_lost(22 * second, None, 0), None);
}

#[test]
fn a_client_gives_up_when_the_next_attempt_would_be_after_elapsed_max() {
    let mut config = config();
    config.elapsed_max = Some(Duration::from_secs(60));
    let mut schedule = Schedule::new(config, Duration::from_secs(100));
    assert!(
        schedule
            .handle_lost(Duration::from_secs(150), None, 0)
            .is_some()
    );
    // The time counts from the loss, not from the start.
    schedule.handle_opened(Duration::from_secs(150));
    let hint = Some(Duration::from_secs(59));
    assert!(
        schedule
            .handle_lost(Duration::from_secs(200), hint, 0)
            .is_some()
    );
    let hint = Some(Duration::from_secs(61));
    assert_eq!(
        schedule.handle_lost(Duration::from_secs(200), hint, 0),
        None
    );
}

proptest! {
    #[test]
    fn a_delay_is_the_hint_plus_a_random_time(
        hint_ms in 0..7_200_000_u64,
        failures in 0..40_u32,
        random: u64,
    ) {
        let mut schedule = Schedule::new(config(), Duration::ZERO);
        schedule.failures = failures;
        let hint = Duration::from_millis(hint_ms);
        let delay = schedule.handle_lost(Duration::ZERO, Some(hint), random).unwrap();
        let hint = hint.min(Duration::from_secs(3600));
        prop_assert!(delay >= hint);
        prop_assert!(delay < hint + ceiling(failures + 1));
    }

    #[test]
    fn delays_stay_below_the_ceiling_of_the_failures_so_far(
        seed: u64,
        story in prop::collection::vec((0..60_000_u64, prop::bool::ANY), 1..60),
    ) {
        let mut random = SplitMix(seed);
        let mut schedule = Schedule::new(config(), Duration::ZERO);
        let mut now = Duration::ZERO;
        let mut failures = 0;
        for (uptime_ms, opens) in story {
            if opens {
                schedule.handle_opened(now);
                now += Duration::from_millis(uptime_ms);
            }
            failures = if opens && uptime_ms >= 10_000 { 0 } else { failures + 1 };
            let delay = schedule.handle_lost(now, None, random.draw()).unwrap();
            prop_assert!(delay < ceiling(failures));
            now += delay;
        }
    }
}

/// Two thousand clients lose one server, which is back after `outage`. Returns when each of them reconnects.
fn arrivals(seed: u64, outage: Duration) -> Vec<Duration> {
    let mut random = SplitMix(seed);
    let clients = (0..2_000).map(|_| {
        let mut schedule = Schedule::new(config(), Duration::ZERO);
        schedule.handle_opened(Duration::ZERO);
        let killed_at = Duration::from_secs(3600);
        let mut now = killed_at;
        loop {
            now += schedule.handle_lost(now, None, random.draw()).unwrap();
            if now >= killed_at + outage {
                return now - killed_at;
            }
        }
    });
    clients.collect()
}

#[test]
fn two_thousand_clients_of_a_failed_server_reconnect_spread() {
    for seed in 0..200 {
        for outage in [0, 1, 5, 60].map(Duration::from_secs) {
            let arrivals = arrivals(seed, outage);
            let last = arrivals.iter().max().unwrap();
            // A client that tried just before the server was back waits for one more delay.
            assert!(*last < outage + Duration::from_secs(30), "seed {seed}");
            let mut slots = [0; 400];
            for arrival in &arrivals {
                slots[((*arrival - outage).as_millis() / 100) as usize] += 1;
            }
            // After a short outage all reconnect within the first 500 ms: about 400 in each 100 ms.
            let peak = slots.iter().max().unwrap();
            assert!(*peak < 500, "seed {seed}, outage {outage:?}: {peak}");
        }
    }
}
