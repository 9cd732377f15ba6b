use std::{sync::Arc, time::Duration};

use super::{
    cells::Cells,
    histogram::{COMMAND_BOUNDS, Histogram},
    label::{CLIENT_NAMES_MAX, FrameKind, NameLabel, TRANSPORTS_MAX, TransportNames},
};

#[test]
fn what_many_threads_add_is_summed() {
    let cells = Arc::new(Cells::new(2));
    let threads: Vec<_> = (0..40)
        .map(|_| {
            let cells = Arc::clone(&cells);
            std::thread::spawn(move || (0..100).for_each(|_| cells.add(1, 3)))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!((cells.sum(0), cells.sum(1)), (0, 12_000));
}

#[test]
fn a_duration_counts_in_each_bucket_that_holds_it() {
    let cells = Cells::new(Histogram::len(COMMAND_BOUNDS));
    let histogram = Histogram::at(0, COMMAND_BOUNDS);
    for micros in [100, 101, 20_000_000] {
        histogram.observe(&cells, Duration::from_micros(micros));
    }
    let seen = histogram.snapshot(&cells);
    assert_eq!(seen.buckets[0], (Duration::from_micros(100), 1));
    assert_eq!(seen.buckets[1], (Duration::from_micros(250), 2));
    assert_eq!(seen.buckets[14], (Duration::from_secs(10), 2));
    assert_eq!(seen.count, 3);
    assert_eq!(seen.sum, Duration::from_micros(20_000_201));
}

#[test]
fn kinds_are_numbered_in_their_order() {
    for (at, (kind, _)) in FrameKind::ALL.into_iter().enumerate() {
        assert_eq!(kind as usize, at);
    }
    assert_eq!(FrameKind::ALL[FrameKind::COMMANDS - 1].1, "unknown");
}

#[test]
fn transports_beyond_the_limit_are_one() {
    let transports = TransportNames::new();
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let labels = names.map(|name| transports.label(name).index());
    assert_eq!(labels, [0, 1, 2, 3, 4, 5, 6, 7, 7]);
    assert_eq!(transports.label("b").index(), 1);
    assert_eq!(transports.names().len(), TRANSPORTS_MAX);
    assert_eq!(transports.names()[7], "other");
}

#[test]
fn only_registered_names_are_told_apart() {
    let registered: Vec<String> = (0..100).map(|number| format!("name{number}")).collect();
    let names = NameLabel::names(&registered);
    assert_eq!(names.len(), CLIENT_NAMES_MAX + 2);
    let label = NameLabel::unnamed();
    let label_of = |name: &str| {
        label.set(&registered, name);
        names[label.index()].clone()
    };
    assert_eq!(label_of(""), "unnamed");
    assert_eq!(label_of("whatever"), "unregistered");
    assert_eq!(label_of("name0"), "name0");
    assert_eq!(label_of("name63"), "name63");
    // Beyond the limit, and names that are our own words.
    assert_eq!(label_of("name64"), "unregistered");
    assert_eq!(label_of("unnamed"), "unregistered");
}
