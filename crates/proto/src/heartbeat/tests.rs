//! The rules of the heartbeat, one by one. All of them together: `tests/heartbeat.rs`.

use super::*;

const RHYTHM: Rhythm = Rhythm {
    interval: Duration::from_secs(25),
    timeout: Duration::from_secs(10),
};
const KEY: u64 = 7;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Began at 100 s, so that the first ping is due at 125 s.
fn heartbeat() -> Heartbeat {
    Heartbeat::new(seconds(125), &RHYTHM)
}

impl Heartbeat {
    fn at(&mut self, second: u64) -> Beat {
        self.handle_timeout(seconds(second), &RHYTHM, Hearing::Clear)
    }

    fn due_after(&self, second: u64) -> Duration {
        self.poll_timeout(seconds(second), &RHYTHM)
    }
}

#[test]
fn silence_is_pinged_and_then_given_up() {
    let mut heartbeat = heartbeat();
    assert_eq!(heartbeat.at(124), Beat::Wait);
    assert_eq!(heartbeat.due_after(124), seconds(125));
    assert_eq!(heartbeat.at(125), Beat::Ping);
    assert_eq!(heartbeat.due_after(125), seconds(135));
    assert_eq!(heartbeat.at(126), Beat::Wait);
    assert_eq!(heartbeat.at(135), Beat::Dead);
}

#[test]
fn any_byte_is_life_and_the_next_ping_keeps_its_time() {
    let mut heartbeat = heartbeat();
    assert_eq!(heartbeat.at(125), Beat::Ping);
    heartbeat.handle_bytes();
    assert_eq!(heartbeat.at(135), Beat::Wait);
    assert_eq!(heartbeat.due_after(135), seconds(150));
    heartbeat.handle_bytes();
    assert_eq!(heartbeat.at(150), Beat::Ping);
}

#[test]
fn a_byte_before_the_ping_is_no_answer_to_it() {
    let mut heartbeat = heartbeat();
    heartbeat.handle_bytes();
    assert_eq!(heartbeat.at(125), Beat::Ping);
    assert_eq!(heartbeat.at(135), Beat::Dead);
}

#[test]
fn nobody_is_late_while_reading_is_paused() {
    let mut heartbeat = heartbeat();
    let paused = |heartbeat: &mut Heartbeat, second| {
        heartbeat.handle_timeout(seconds(second), &RHYTHM, Hearing::Paused)
    };
    assert_eq!(heartbeat.at(125), Beat::Ping);
    // It is pinged again, for whoever forgets a silent connection.
    assert_eq!(paused(&mut heartbeat, 135), Beat::Ping);
    assert_eq!(paused(&mut heartbeat, 145), Beat::Ping);
    assert_eq!(heartbeat.due_after(145), seconds(155));
    assert_eq!(heartbeat.at(154), Beat::Wait);
    assert_eq!(heartbeat.at(155), Beat::Dead);
}

#[test]
fn a_ping_that_was_not_sent_needs_no_answer() {
    let mut heartbeat = heartbeat();
    assert_eq!(heartbeat.at(125), Beat::Ping);
    heartbeat.withdraw();
    assert_eq!(heartbeat.at(135), Beat::Wait);
    assert_eq!(heartbeat.due_after(135), seconds(150));
}

#[test]
fn who_has_slept_asks_once_more_before_giving_up() {
    let mut heartbeat = heartbeat();
    assert_eq!(heartbeat.at(125), Beat::Ping);
    assert_eq!(heartbeat.at(4000), Beat::Ping);
    assert_eq!(heartbeat.at(4009), Beat::Wait);
    // But not for ever: who always comes late gives up, too.
    assert_eq!(heartbeat.at(8000), Beat::Dead);
}

#[test]
fn with_a_timeout_of_many_intervals_the_next_ping_is_not_late() {
    let rhythm = Rhythm::new(seconds(1), seconds(10));
    let mut heartbeat = Heartbeat::new(seconds(1), &rhythm);
    let beat = |heartbeat: &mut Heartbeat, second| {
        heartbeat.handle_timeout(seconds(second), &rhythm, Hearing::Clear)
    };
    assert_eq!(beat(&mut heartbeat, 1), Beat::Ping);
    assert_eq!(heartbeat.poll_timeout(seconds(1), &rhythm), seconds(2));
    heartbeat.handle_bytes();
    assert_eq!(beat(&mut heartbeat, 2), Beat::Ping);
    for second in 3..12 {
        assert_eq!(beat(&mut heartbeat, second), Beat::Wait);
        let next = heartbeat.poll_timeout(seconds(second), &rhythm);
        assert_eq!(next, seconds(second + 1));
    }
    assert_eq!(beat(&mut heartbeat, 12), Beat::Dead);
}

#[test]
fn only_the_first_answer_to_the_last_ping_tells_the_latency() {
    let mut heartbeat = heartbeat();
    let pong = |heartbeat: &mut Heartbeat, payload: &[u8], second| {
        heartbeat.handle_pong(payload, KEY, seconds(second))
    };
    assert_eq!(heartbeat.at(125), Beat::Ping);
    let first = heartbeat.payload(KEY);
    assert_eq!(pong(&mut heartbeat, b"", 126), Pong::Foreign);
    assert_eq!(pong(&mut heartbeat, b"12345678", 126), Pong::Foreign);
    assert_eq!(
        pong(&mut heartbeat, &first, 127),
        Pong::Ours(Some(seconds(2)))
    );
    assert_eq!(pong(&mut heartbeat, &first, 128), Pong::Ours(None));
    heartbeat.handle_bytes();
    assert_eq!(heartbeat.at(150), Beat::Ping);
    assert_eq!(pong(&mut heartbeat, &first, 151), Pong::Foreign);
    assert_ne!(heartbeat.payload(KEY), first);
    assert_ne!(heartbeat.payload(KEY), heartbeat.payload(KEY + 1));
}

#[test]
fn never_is_a_time_too() {
    let rhythm = Rhythm::new(Duration::MAX, Duration::MAX);
    let mut heartbeat = Heartbeat::new(Duration::MAX, &rhythm);
    let year = seconds(365 * 86_400);
    assert_eq!(
        heartbeat.handle_timeout(year, &rhythm, Hearing::Clear),
        Beat::Wait
    );
    assert!(heartbeat.poll_timeout(year, &rhythm) > 10 * year);
}

#[test]
fn heartbeat_is_small() {
    // It is part of every idle connection.
    assert!(size_of::<Heartbeat>() <= 16);
}
