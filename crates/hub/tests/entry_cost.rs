//! The memory that an online client costs.
#![cfg(target_os = "linux")]

use std::sync::Arc;

use sockeye_hub::{
    SystemClock,
    presence::{Limits, Presence},
};

/// Each client has a name as long as a UUID, one device and one guard. The test is alone in its process, so that all growth of
/// the process is its own.
#[test]
fn an_online_client_costs_less_than_400_bytes() {
    let presence = Presence::in_memory(Limits::default(), Arc::new(SystemClock));
    let mut device_guards = Vec::with_capacity(CLIENTS);
    let before = resident_bytes();
    for number in 0..CLIENTS {
        // Clients don't connect in the order of their names.
        let shuffled = number.wrapping_mul(0x9E37_79B9) & 0xFFFF_FFFF;
        let name = format!("{shuffled:08x}-0000-4000-8000-{number:012x}");
        device_guards.push(presence.join(name, "echo"));
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

/// So many that other memory of the process doesn't matter.
const CLIENTS: usize = 200_000;
