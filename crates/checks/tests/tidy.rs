//! The rules of [`sockeye_checks::tidy`], applied to this repository.

use sockeye_checks::need;
use sockeye_checks::tidy::{self, Exception, RealTime, Tree};

/// Files that are longer than the rest, each with its reason.
const LONGER: &[Exception] = &[];

/// The product's library is one function, `run`, and a file for it would be all that the list lists.
const WITH_LOGIC: &[&str] = &["crates/server/src/lib.rs"];

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
