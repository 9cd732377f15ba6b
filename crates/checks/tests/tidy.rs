//! The rules of [`sockeye_checks::tidy`], applied to this repository.

use sockeye_checks::need;
use sockeye_checks::tidy::{self, Exception, RealTime, Tree};

/// Files that are longer than the rest, each with its reason.
const LONGER: &[Exception] = &[];

/// The product's library is one function, `run`, and a file for it would be all that the list lists.
const WITH_LOGIC: &[&str] = &["crates/server/src/lib.rs"];

/// Folders whose modules may import each other.
const WITH_CYCLES: &[&str] = &[
    // The command line calls a measurement, with the options that it defines.
    "benches/load/src",
    // A cell has results, and a result names its cell.
    "benches/polling/src",
    // Where permessage-deflate is off, types without a value stand in for it.
    "crates/proto/src/extension",
    // Reading, writing, fan-out and the session are parts of one connection, under one lock.
    "crates/sockeye/src/connection",
    "crates/sockeye/src/connection/fan_out",
    "crates/sockeye/src/connection/write",
    // A value refuses a text by the words of its shape, and a shape parses values.
    "crates/server/src/config",
    // Older than the rule, and still to be cut.
    "crates/hub/src",
    "crates/hub/src/namespace",
    "crates/hub/src/node",
    "crates/hub/src/node/client",
    "crates/hub/src/token",
    "crates/server/src",
    "crates/server/src/transport",
];

/// Why the tests of workers let real time pass: a worker waits in the kernel, on a `timerfd`, and its sockets are the
/// kernel's. A clock of the test's own would test another loop. The rules of time (`connection::read::watchdog`,
/// `worker::timers`, `worker::timer_wheel`) have tests that move the clock.
const WORKERS: &str = "a worker's timer is the kernel's";

/// Test files that let real time pass. In each only a lower bound of time is exact: an upper bound allows for a machine
/// that stops for seconds.
const IN_REAL_TIME: &[RealTime] = &[
    RealTime {
        path: "crates/checks/tests/faults/slow_links.rs",
        reason: "the link is the kernel's, and carries what it can in real time",
    },
    RealTime {
        path: "crates/checks/tests/stores/patience.rs",
        reason: "polls a store, which notifies nobody, with a limit that only a failure reaches",
    },
    RealTime {
        path: "crates/sockeye/tests/server/heartbeat.rs",
        reason: WORKERS,
    },
    RealTime {
        path: "crates/sockeye/tests/server/lapses.rs",
        reason: WORKERS,
    },
    RealTime {
        path: "crates/sockeye/tests/server/limits.rs",
        reason: "asserts that a count is kept, which no event tells; too few turns could only miss a fault",
    },
    RealTime {
        path: "crates/sockeye/tests/server/memory.rs",
        reason: WORKERS,
    },
    RealTime {
        path: "crates/sockeye/tests/server/slow_peers.rs",
        reason: WORKERS,
    },
];

#[test]
fn every_rust_file_begins_with_module_docs() {
    none(&tidy::missing_docs(&tree()));
}

#[test]
fn lists_of_modules_hold_no_logic() {
    none(&tidy::logic_in_lists(&tree(), WITH_LOGIC));
}

#[test]
fn no_file_is_too_long() {
    none(&tidy::long_files(&tree(), LONGER));
}

#[test]
fn every_name_says_something() {
    none(&tidy::bad_names(&tree()));
}

#[test]
fn no_method_begins_with_get() {
    none(&tidy::getters(&tree()));
}

#[test]
fn no_file_is_dead() {
    none(&tidy::dead_files(&tree()));
}

#[test]
fn the_map_shows_the_tree() {
    none(&tidy::stale_map(&tree()));
}

#[test]
fn unsafe_stays_in_its_file() {
    none(&tidy::unsafe_code(&tree()));
}

#[test]
fn nothing_belongs_to_one_machine() {
    none(&tidy::machine_paths(&tree()));
}

#[test]
fn no_test_sleeps() {
    none(&tidy::sleeping_tests(&tree(), IN_REAL_TIME));
}

#[test]
fn the_modules_of_a_folder_form_layers() {
    none(&tidy::import_cycles(&tree(), WITH_CYCLES));
}

#[test]
fn log_lines_show_no_debug() {
    none(&tidy::debug_in_logs(&tree()));
}

fn tree() -> Tree {
    Tree::read(need::root())
}

#[track_caller]
fn none(complaints: &[String]) {
    let count = complaints.len();
    assert!(count == 0, "{count} complaints:\n{}", complaints.join("\n"));
}
