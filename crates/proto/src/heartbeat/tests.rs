//! Tests of each rule of the heartbeat. `tests/heartbeat.rs` has all of them together.

use super::*;

const HEARTBEAT: HeartbeatConfig = HeartbeatConfig {
    interval: Duration::from_secs(25),
    timeout: Duration::from_secs(10),
};
const KEY: u64 = 7;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Returns a heartbeat whose first ping is due at 125 s.
fn heartbeat() -> Heartbeat {
    Heartbeat::new(seconds(125), &HEARTBEAT)
}

impl Heartbeat {
    fn at(&mut self, second: u64) -> HeartbeatAction {
        self.handle_timeout(seconds(second), &HEARTBEAT, ReadState::CaughtUp)
    }

    fn due_after(&self, second: u64) -> Duration {
        self.poll_timeout(seconds(second), &HEARTBEAT)
    }
}

#[test]
fn silence_is_pinged_and_then_given_up() {
    let mut heartbeat = heartbeat();
    assert_eq!(heartbeat.at(124), HeartbeatAction::Wait);
    assert_eq!(heartbeat.due_after(124), seconds(125));
    assert_eq!(heartbeat.at(125), HeartbeatAction::Ping);
    assert_eq!(heartbeat.due_after(125), seconds(130));
    assert_eq!(heartbeat.at(126), HeartbeatAction::Wait);
    assert!(!heartbeat.is_in_doubt());
    assert_eq!(heartbeat.at(130), HeartbeatAction::Doubt);
    assert!(heartbeat.is_in_doubt());
    assert_eq!(heartbeat.due_after(130), seconds(135));
    assert_eq!(heartbeat.at(134), HeartbeatAction::Wait);
    assert_eq!(heartbeat.at(135), HeartbeatAction::Dead);
}

#[test]
fn a_busy_peer_gets_the_whole_timeout_again() {
    let mut heartbeat = heartbeat();
    assert_eq!(heartbeat.at(125), HeartbeatAction::Ping);
    let ping = heartbeat.payload(KEY);
    assert_eq!(heartbeat.at(130), HeartbeatAction::Doubt);
    for second in [135, 146, 157] {
        assert_eq!(heartbeat.at(second), HeartbeatAction::Dead);
        heartbeat.extend(seconds(second));
        assert!(heartbeat.due_after(second) > seconds(second));
        assert_eq!(heartbeat.at(second + 9), HeartbeatAction::Wait);
    }
    assert_eq!(heartbeat.unanswered_for(seconds(160)), seconds(35));
    // The pong answers the ping that was sent at 125 s.
    let pong = heartbeat.handle_pong(&ping, KEY, seconds(165));
    assert_eq!(pong, Pong::Ours(Some(seconds(40))));
    heartbeat.handle_bytes();
    assert_eq!(heartbeat.at(167), HeartbeatAction::Ping);
    assert_eq!(heartbeat.due_after(167), seconds(172));
}

#[test]
fn a_doubt_that_comes_late_leaves_half_of_the_timeout() {
    let mut heartbeat = heartbeat();
    assert_eq!(heartbeat.at(125), HeartbeatAction::Ping);
    assert_eq!(heartbeat.at(138), HeartbeatAction::Doubt);
    assert_eq!(heartbeat.at(142), HeartbeatAction::Wait);
    assert_eq!(heartbeat.at(144), HeartbeatAction::Dead);
}

#[test]
fn any_byte_is_life_and_the_next_ping_keeps_its_time() {
    let mut heartbeat = heartbeat();
    assert_eq!(heartbeat.at(125), HeartbeatAction::Ping);
    heartbeat.handle_bytes();
    assert_eq!(heartbeat.at(135), HeartbeatAction::Wait);
    assert_eq!(heartbeat.due_after(135), seconds(150));
    heartbeat.handle_bytes();
    assert_eq!(heartbeat.at(150), HeartbeatAction::Ping);
}

#[test]
fn a_byte_before_the_ping_is_no_answer_to_it() {
    let mut heartbeat = heartbeat();
    heartbeat.handle_bytes();
    assert_eq!(heartbeat.at(125), HeartbeatAction::Ping);
    assert_eq!(heartbeat.at(130), HeartbeatAction::Doubt);
    assert_eq!(heartbeat.at(135), HeartbeatAction::Dead);
}

#[test]
fn nobody_is_late_while_reading_is_paused() {
    let mut heartbeat = heartbeat();
    let paused = |heartbeat: &mut Heartbeat, second| {
        heartbeat.handle_timeout(seconds(second), &HEARTBEAT, ReadState::Paused)
    };
    assert_eq!(heartbeat.at(125), HeartbeatAction::Ping);
    // Pings go on, for the sake of proxies that drop a silent connection.
    for second in [125, 135] {
        assert_eq!(paused(&mut heartbeat, second + 5), HeartbeatAction::Wait);
        assert_eq!(heartbeat.due_after(second + 5), seconds(second + 10));
        assert_eq!(paused(&mut heartbeat, second + 10), HeartbeatAction::Ping);
    }
    assert_eq!(heartbeat.due_after(145), seconds(150));
    assert_eq!(heartbeat.at(150), HeartbeatAction::Doubt);
    assert_eq!(heartbeat.at(154), HeartbeatAction::Wait);
    assert_eq!(heartbeat.at(155), HeartbeatAction::Dead);
}

#[test]
fn a_ping_that_was_not_sent_needs_no_answer() {
    let mut heartbeat = heartbeat();
    assert_eq!(heartbeat.at(125), HeartbeatAction::Ping);
    heartbeat.withdraw();
    assert_eq!(heartbeat.at(135), HeartbeatAction::Wait);
    assert_eq!(heartbeat.due_after(135), seconds(150));
}

#[test]
fn a_driver_that_has_slept_pings_once_more_before_it_gives_up() {
    let mut heartbeat = heartbeat();
    assert_eq!(heartbeat.at(125), HeartbeatAction::Ping);
    assert_eq!(heartbeat.at(4000), HeartbeatAction::Ping);
    assert_eq!(heartbeat.at(4004), HeartbeatAction::Wait);
    assert_eq!(heartbeat.at(4005), HeartbeatAction::Doubt);
    // A driver that is always late gives up too.
    assert_eq!(heartbeat.at(8000), HeartbeatAction::Dead);
}

#[test]
fn with_a_timeout_of_many_intervals_the_next_ping_is_not_late() {
    let config = HeartbeatConfig::new(seconds(1), seconds(10));
    let mut heartbeat = Heartbeat::new(seconds(1), &config);
    let action_at = |heartbeat: &mut Heartbeat, second| {
        heartbeat.handle_timeout(seconds(second), &config, ReadState::CaughtUp)
    };
    assert_eq!(action_at(&mut heartbeat, 1), HeartbeatAction::Ping);
    assert_eq!(heartbeat.poll_timeout(seconds(1), &config), seconds(2));
    heartbeat.handle_bytes();
    assert_eq!(action_at(&mut heartbeat, 2), HeartbeatAction::Ping);
    for second in 3..12 {
        let expected = match second {
            7 => HeartbeatAction::Doubt,
            _ => HeartbeatAction::Wait,
        };
        assert_eq!(action_at(&mut heartbeat, second), expected);
        let next = heartbeat.poll_timeout(seconds(second), &config);
        assert_eq!(next, seconds(second + 1));
    }
    assert_eq!(action_at(&mut heartbeat, 12), HeartbeatAction::Dead);
}

#[test]
fn only_the_first_answer_to_the_last_ping_tells_the_latency() {
    let mut heartbeat = heartbeat();
    let pong = |heartbeat: &mut Heartbeat, payload: &[u8], second| {
        heartbeat.handle_pong(payload, KEY, seconds(second))
    };
    assert_eq!(heartbeat.at(125), HeartbeatAction::Ping);
    let first = heartbeat.payload(KEY);
    assert_eq!(pong(&mut heartbeat, b"", 126), Pong::Foreign);
    assert_eq!(pong(&mut heartbeat, b"12345678", 126), Pong::Foreign);
    assert_eq!(
        pong(&mut heartbeat, &first, 127),
        Pong::Ours(Some(seconds(2)))
    );
    assert_eq!(pong(&mut heartbeat, &first, 128), Pong::Ours(None));
    heartbeat.handle_bytes();
    assert_eq!(heartbeat.at(150), HeartbeatAction::Ping);
    assert_eq!(pong(&mut heartbeat, &first, 151), Pong::Foreign);
    assert_ne!(heartbeat.payload(KEY), first);
    assert_ne!(heartbeat.payload(KEY), heartbeat.payload(KEY + 1));
}

#[test]
fn never_is_a_time_too() {
    let config = HeartbeatConfig::new(Duration::MAX, Duration::MAX);
    let mut heartbeat = Heartbeat::new(Duration::MAX, &config);
    let year = seconds(365 * 86_400);
    assert_eq!(
        heartbeat.handle_timeout(year, &config, ReadState::CaughtUp),
        HeartbeatAction::Wait
    );
    assert!(heartbeat.poll_timeout(year, &config) > 10 * year);
}

#[test]
fn heartbeat_is_small() {
    // Each idle connection has one.
    assert!(size_of::<Heartbeat>() <= 16);
}
