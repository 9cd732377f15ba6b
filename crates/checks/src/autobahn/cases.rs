//! The cases of the suite, and the choice of those for a run.

use std::process::Command;
use std::time::Duration;

use crate::process::Process;

/// How much of the suite to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All 517 cases.
    All,
    /// All cases, except that each group in 12.* and 13.* has five of its eighteen message sizes.
    EveryGroup,
}

/// Returns the ids (`"12.1.3"`) of the cases that a run takes, in the suite's order.
///
/// # Panics
/// If the suite does not know its 517 cases: then it is another suite, and its verdict says nothing.
#[track_caller]
pub fn select(wstest: &Command, selection: Selection) -> Vec<String> {
    let mut python = Command::new(wstest.get_program());
    let limit = Duration::from_secs(120);
    let listing = Process::start("Autobahn's list", python.args(["-c", LIST]), limit).wait();
    let all: Vec<String> = listing
        .out()
        .iter()
        .map(|id| id.replace('_', "."))
        .collect();
    assert_eq!(
        all.len(),
        CASES,
        "cases in the suite:\n{}",
        listing.transcript()
    );
    match selection {
        Selection::All => all,
        Selection::EveryGroup => all.into_iter().filter(|id| is_kept(id)).collect(),
    }
}

fn is_kept(id: &str) -> bool {
    let numbers: Vec<&str> = id.split('.').collect();
    match numbers[..] {
        ["12" | "13", _, size] => SIZES_KEPT.contains(&size),
        _ => true,
    }
}

/// The suite's own classes, `Case12_1_3` and so on.
const LIST: &str =
    "from autobahntestsuite.case import Cases\nfor case in Cases: print(case.__name__[4:])";

/// Cases in autobahntestsuite 25.10.1.
const CASES: usize = 517;

/// Thousand messages each: smallest; about one read; larger than the window; one message in many frames;
/// largest, in few frames. The thirteen left out lie between these.
const SIZES_KEPT: [&str; 5] = ["1", "4", "9", "11", "16"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_group_is_left_out() {
        assert!(is_kept("1.1.1") && is_kept("9.8.6") && is_kept("10.1.1"));
        assert!(is_kept("12.5.1") && is_kept("13.7.16"));
        assert!(!is_kept("12.1.2") && !is_kept("13.7.18"));
    }
}
