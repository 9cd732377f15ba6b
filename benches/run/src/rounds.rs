//! Rounds: in each one every server of the cell is measured once.

use std::collections::BTreeMap;

use crate::{
    cell::Cell,
    measurement::{Measurement, Window},
    peer::Peer,
    setting::Setting,
};

/// How a cell is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds {
    pub(crate) window: Window,
    pub(crate) rounds: usize,
}

/// What came out of a cell.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The cell's.
    pub(crate) name: String,
    /// For each round, by the peer's name.
    pub(crate) rounds: Vec<BTreeMap<String, Measurement>>,
    /// Peers without a figure, and why.
    pub(crate) failed: BTreeMap<String, String>,
}

impl Rounds {
    /// The same, long enough for `cell`.
    pub(crate) fn for_cell(self, cell: &Cell) -> Self {
        Self {
            window: self.window.for_cell(cell),
            ..self
        }
    }

    /// Measures the cell. A peer that fails once is out: a wrong answer is no slow one.
    pub(crate) fn run(&self, setting: &Setting, cell: &Cell, peers: &[Peer]) -> Outcome {
        let mut outcome = Outcome {
            name: cell.name(),
            rounds: Vec::new(),
            failed: BTreeMap::new(),
        };
        let peers: Vec<&Peer> = peers.iter().filter(|peer| cell.suits(peer)).collect();
        for round in 0..self.rounds {
            let mut measurements = BTreeMap::new();
            for index in 0..peers.len() {
                // Everybody goes first once: who follows whom should not matter, and is not always the same.
                let peer = peers[(index + round) % peers.len()];
                if outcome.failed.contains_key(&peer.name) {
                    continue;
                }
                match Measurement::take(setting, cell, peer, self.window) {
                    Ok(measurement) => {
                        measurements.insert(peer.name.clone(), measurement);
                    }
                    Err(error) => {
                        eprintln!("    {}: {error}", peer.name);
                        outcome.failed.insert(peer.name.clone(), error.to_string());
                    }
                }
            }
            let line: Vec<String> = measurements
                .iter()
                .map(|(name, measurement)| format!("{name} {:.0}", measurement.per_second))
                .collect();
            eprintln!(
                "  round {} of {}: {}",
                round + 1,
                self.rounds,
                line.join(", ")
            );
            outcome.rounds.push(measurements);
        }
        outcome
    }
}

impl Outcome {
    /// The median over the rounds of something that was measured of one peer.
    pub(crate) fn median_of(&self, peer: &str, value: impl Fn(&Measurement) -> f64) -> Option<f64> {
        median(
            self.rounds
                .iter()
                .filter_map(|round| round.get(peer).map(&value)),
        )
    }

    /// Whether something else was running during one of the rounds.
    pub(crate) fn is_disturbed(&self, peer: &str) -> bool {
        let mut measurements = self.rounds.iter().filter_map(|round| round.get(peer));
        measurements.any(Measurement::is_disturbed)
    }

    /// The median of the rounds' ratios of two peers.
    pub(crate) fn ratio(
        &self,
        peer: &str,
        to: &str,
        value: impl Fn(&Measurement) -> f64,
    ) -> Option<f64> {
        median(self.ratios(peer, to, value).into_iter())
    }

    /// The rounds' ratios of two peers, of the rounds that have a figure of both.
    pub(crate) fn ratios(
        &self,
        peer: &str,
        to: &str,
        value: impl Fn(&Measurement) -> f64,
    ) -> Vec<f64> {
        let ratios = self
            .rounds
            .iter()
            .filter_map(|round| Some(value(round.get(peer)?) / value(round.get(to)?)));
        ratios.filter(|ratio| ratio.is_finite()).collect()
    }
}

/// `None` of nothing.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) && middle > 0 {
        return Some(f64::midpoint(values[middle - 1], values[middle]));
    }
    values.get(middle).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median([].into_iter()), None);
    }
}
