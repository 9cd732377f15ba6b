//! Which server is ahead, by more than the noise.

use crate::{
    peer::{Can, OURS, Peer},
    rounds::{Outcome, median},
};

/// How Sockeye compares with another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Ahead,
    /// The difference is within the noise.
    Level,
    Behind,
}

/// The least difference that counts, as a part of the rate. What the order of the servers in a round and the layout of
/// a binary in memory do to a rate is not smaller.
const NOISE_MIN: f64 = 0.02;

impl Standing {
    /// Compares the rounds' ratios of Sockeye's rate to the other's. The noise is half the distance between the least and
    /// the greatest of them; with five rounds or more, of the others but these two.
    fn of(ratios: &[f64]) -> Option<Self> {
        let difference = median(ratios.iter().copied())? - 1.0;
        let mut sorted = ratios.to_vec();
        sorted.sort_by(f64::total_cmp);
        let kept = match sorted.len() {
            5.. => &sorted[1..sorted.len() - 1],
            _ => &sorted[..],
        };
        let noise = ((kept[kept.len() - 1] - kept[0]) / 2.0).max(NOISE_MIN);
        Some(match difference {
            _ if difference.abs() <= noise => Self::Level,
            _ if difference > 0.0 => Self::Ahead,
            _ => Self::Behind,
        })
    }
}

/// Returns one sentence that says which servers are ahead of Sockeye, and which are level with it.
pub(crate) fn verdict(outcome: &Outcome, peers: &[Peer]) -> String {
    let others = peers
        .iter()
        .filter(|peer| !peer.name.starts_with(OURS) && !peer.can(Can::Raw));
    let standings: Vec<(&str, Standing)> = others
        .filter_map(|peer| {
            let ratios = outcome.ratios(OURS, &peer.name, |one| one.per_second);
            Some((peer.name.as_str(), Standing::of(&ratios)?))
        })
        .collect();
    if standings.is_empty() {
        return "Sockeye is not compared here.".to_owned();
    }
    let names = |wanted: Standing| -> Vec<&str> {
        let found = standings.iter().filter(|(_, standing)| *standing == wanted);
        found.map(|(name, _)| *name).collect()
    };
    let (behind, level) = (names(Standing::Behind), names(Standing::Level));
    match (&behind[..], &level[..]) {
        ([], []) => "Sockeye is ahead of all others.".to_owned(),
        ([], level) => format!("Level with Sockeye: {}.", level.join(", ")),
        (behind, []) => format!("Ahead of Sockeye: {}.", behind.join(", ")),
        (behind, level) => format!(
            "Ahead of Sockeye: {}. Level: {}.",
            behind.join(", "),
            level.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::measurement::Measurement;

    #[test]
    fn a_difference_within_the_spread_of_the_rounds_is_level() {
        assert_eq!(Standing::of(&[0.98, 1.05, 1.12]), Some(Standing::Level));
        assert_eq!(Standing::of(&[0.88, 0.95, 1.02]), Some(Standing::Level));
        assert_eq!(Standing::of(&[1.09, 1.10, 1.11]), Some(Standing::Ahead));
        assert_eq!(Standing::of(&[0.89, 0.90, 0.91]), Some(Standing::Behind));
    }

    #[test]
    fn a_small_difference_is_level_even_if_all_rounds_agree() {
        assert_eq!(Standing::of(&[1.017, 1.017, 1.018]), Some(Standing::Level));
        assert_eq!(Standing::of(&[0.983, 0.983, 0.982]), Some(Standing::Level));
        assert_eq!(Standing::of(&[1.030, 1.031, 1.030]), Some(Standing::Ahead));
    }

    #[test]
    fn one_round_that_is_far_from_the_others_is_not_the_noise() {
        let ratios = [1.10, 1.11, 0.60, 1.09, 1.10];
        assert_eq!(Standing::of(&ratios), Some(Standing::Ahead));
        assert_eq!(Standing::of(&ratios[..4]), Some(Standing::Level));
    }

    #[test]
    fn without_rounds_there_is_no_verdict() {
        assert_eq!(Standing::of(&[]), None);
    }

    /// An outcome in which each peer has these rates.
    fn outcome(rates: &[(&str, [f64; 3])]) -> Outcome {
        let round = |index: usize| -> BTreeMap<String, Measurement> {
            let measurements = rates.iter().map(|(name, rates)| {
                let measurement = Measurement {
                    per_second: rates[index],
                    server_ns: 1.0,
                    load_ns: 1.0,
                    server_busy: 1.0,
                    load_busy: 1.0,
                    others_busy: 0.0,
                    wire_bytes: None,
                    latency: None,
                };
                ((*name).to_owned(), measurement)
            });
            measurements.collect()
        };
        Outcome {
            name: "cell".to_owned(),
            rounds: (0..3).map(round).collect(),
            failed: BTreeMap::new(),
        }
    }

    #[test]
    fn the_verdict_names_who_is_ahead_and_who_is_level() {
        let peers = Peer::all();
        let sockeye = ("sockeye", [100.0, 101.0, 100.0]);
        let faster = ("uwebsockets", [120.0, 121.0, 120.0]);
        let alike = ("yawc", [95.0, 106.0, 99.0]);
        let slower = ("npm-ws", [50.0, 51.0, 50.0]);
        // It knows no WebSocket, so it is nobody's rival.
        let raw = ("raw-epoll", [200.0, 200.0, 200.0]);
        for (rates, expected) in [
            (
                &[sockeye, slower, raw][..],
                "Sockeye is ahead of all others.",
            ),
            (&[sockeye, slower, alike], "Level with Sockeye: yawc."),
            (&[sockeye, slower, faster], "Ahead of Sockeye: uwebsockets."),
            (
                &[sockeye, alike, faster],
                "Ahead of Sockeye: uwebsockets. Level: yawc.",
            ),
            (&[slower, faster], "Sockeye is not compared here."),
        ] {
            assert_eq!(verdict(&outcome(rates), &peers), expected);
        }
    }
}
