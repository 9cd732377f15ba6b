//! What a client costs who is here.
#![cfg(target_os = "linux")]

use std::sync::Arc;

use sockeye_hub::{
    SystemClock,
    presence::{Limits, Presence},
};

/// Its name as long as a UUID, one device, and the ticket that sits in the endpoint. Alone in its process, as
/// nextest runs it, so that what grows is what the test makes grow.
#[test]
fn a_client_that_is_here_costs_less_than_400_bytes() {
    let presence = Presence::in_memory(Limits::default(), Arc::new(SystemClock));
    let mut tickets = Vec::with_capacity(CLIENTS);
    let before = resident_bytes();
    for number in 0..CLIENTS {
        // Not in the order of the names, as clients come.
        let shuffled = number.wrapping_mul(0x9E37_79B9) & 0xFFFF_FFFF;
        let name = format!("{shuffled:08x}-0000-4000-8000-{number:012x}");
        tickets.push(presence.join(name, "echo"));
    }
    let each = (resident_bytes() - before) / CLIENTS;
    assert_eq!(presence.count(), CLIENTS);
    println!("{each} bytes each");
    assert!((100..400).contains(&each), "{each} bytes each");
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kibibytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kibibytes.parse::<usize>().unwrap() * 1024
}

/// Enough that everything else is nothing.
const CLIENTS: usize = 200_000;
