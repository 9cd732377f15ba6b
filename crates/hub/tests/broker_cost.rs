//! The memory that the memory broker takes, beside what it counts against its limits.
#![cfg(target_os = "linux")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use sockeye_hub::{
    Publication, SystemClock,
    broker::{Broker, HistoryQuery, Memory, MemoryLimits, PublishOptions},
};

/// The test is alone in its process, so that all growth of the process is its own.
#[test]
fn what_is_counted_is_what_is_taken() {
    let mut limits = MemoryLimits::default();
    limits.history_bytes_max = usize::MAX;
    limits.idempotency_bytes_max = usize::MAX;
    limits.idempotency_keys_max = usize::MAX;
    let broker = Memory::new(Arc::new(SystemClock), limits);
    let names: Vec<Arc<str>> = (0..CHANNELS).map(name).collect();

    let position = measure(&broker, || {
        for name in &names {
            // Without a subscriber the broker keeps nothing about it.
            broker.subscribe(name).try_now().unwrap().unwrap();
            let answer = broker.history(name, HistoryQuery::default());
            answer.try_now().unwrap().unwrap();
        }
    });
    let publication = measure(&broker, || {
        for name in names.iter().chain(&names).chain(&names) {
            publish(&broker, name, None);
        }
    });
    let key = measure(&broker, || {
        for (number, name) in names.iter().chain(&names).enumerate() {
            publish(
                &broker,
                name,
                Some(format!("key of 20 bytes {number:04}").into()),
            );
        }
    });
    let one_more_key = measure(&broker, || {
        for number in 0..CHANNELS {
            let key = format!("another key {number:08}").into();
            publish(&broker, &names[0], Some(key));
        }
    });

    let each = [
        ("channel with a position", position, CHANNELS),
        ("publication of 140 bytes", publication, 3 * CHANNELS),
        ("one of two idempotency keys", key, 2 * CHANNELS),
        ("one of many idempotency keys", one_more_key, CHANNELS),
    ];
    for (what, (taken, counted), count) in each {
        let (taken, counted) = (taken / count, counted / count);
        println!("{what}: {taken} bytes taken, {counted} counted");
        let allowed = taken * 8 / 10..taken * 16 / 10;
        assert!(allowed.contains(&counted), "{what}: {taken}, {counted}");
    }
    assert!(position.0 / CHANNELS < 600);
}

/// Returns by how many bytes the process grows, and by how many the broker's count.
fn measure(broker: &Memory, fill: impl FnOnce()) -> (usize, usize) {
    let (taken, counted) = (resident_bytes(), broker.bytes());
    fill();
    (resident_bytes() - taken, broker.bytes() - counted)
}

fn publish(broker: &Memory, channel: &Arc<str>, idempotency_key: Option<Arc<str>>) {
    // With a key nothing goes into the history, so that only keys are measured.
    let history_size = if idempotency_key.is_some() { 0 } else { 100 };
    let publication = Publication {
        data: Bytes::from_static(&[b'x'; 140]),
        ..Publication::default()
    };
    let options = PublishOptions {
        history_size,
        history_ttl: Duration::from_hours(1),
        idempotency_key,
        ..PublishOptions::default()
    };
    let answer = broker.publish(channel, publication, options);
    answer.try_now().unwrap().unwrap();
}

/// As long as that of a user's channel with a UUID.
fn name(number: usize) -> Arc<str> {
    let shuffled = number.wrapping_mul(0x9E37_79B9) & 0xFFFF_FFFF;
    format!("user:{shuffled:08x}-0000-4000-8000-{number:012x}").into()
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kibibytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kibibytes.parse::<usize>().unwrap() * 1024
}

/// So many that other memory of the process doesn't matter.
const CHANNELS: usize = 100_000;
