//! The findings of the suite, and whether they pass.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// The suite's findings, by case.
#[derive(Debug, Default)]
pub struct Report {
    /// By id, as the suite writes it: `"12.1.3"`.
    pub outcomes: BTreeMap<String, Outcome>,
    /// What went wrong outside the suite's view: a client that crashed, say.
    pub accidents: Vec<String>,
}

/// The suite's verdict on one case, in its words.
#[derive(Debug)]
pub struct Outcome {
    /// `OK`, `INFORMATIONAL`, `NON-STRICT`, `UNIMPLEMENTED`, `FAILED`.
    pub behaviour: String,
    /// The same for the closing handshake; also `WRONG CODE`, `UNCLEAN`, `FAILED BY CLIENT`.
    pub close: String,
    /// Why, and where the whole story is.
    pub detail: String,
}

impl Report {
    /// Reads what one run of the suite wrote. Nothing there means nothing ran: [`Report::complaints`] says so.
    pub fn read(folder: &Path, agent: &str) -> Self {
        let mut report = Self::default();
        let Some(index) = read_json(&folder.join("index.json")) else {
            return report;
        };
        for (id, entry) in index[agent].as_object().into_iter().flatten() {
            let word = |key: &str| entry[key].as_str().unwrap_or("nothing").to_owned();
            report.outcomes.insert(
                id.clone(),
                Outcome {
                    behaviour: word("behavior"),
                    close: word("behaviorClose"),
                    detail: detail(&folder.join(word("reportfile"))),
                },
            );
        }
        report
    }

    /// Adds another shard's findings.
    pub fn merge(&mut self, other: Self) {
        self.outcomes.extend(other.outcomes);
        self.accidents.extend(other.accidents);
    }

    /// Returns everything that keeps this from being a pass, one line each.
    ///
    /// `OK` passes. `INFORMATIONAL` passes where the RFC leaves the behaviour open. Nothing else does, and a
    /// case without a verdict does not either.
    pub fn complaints(&self, cases: &[String]) -> Vec<String> {
        let mut complaints = self.accidents.clone();
        for id in cases {
            match self.outcomes.get(id) {
                None => complaints.push(format!("{id}: missing from the report")),
                Some(outcome) => complaints.extend(outcome.complaint(id)),
            }
        }
        complaints
    }

    /// Prints the counts of each verdict.
    pub fn summary(&self) -> String {
        let mut tally = BTreeMap::<_, usize>::new();
        for outcome in self.outcomes.values() {
            *tally
                .entry((&outcome.behaviour, &outcome.close))
                .or_default() += 1;
        }
        let parts = tally
            .iter()
            .map(|((behaviour, close), count)| format!("{count} {behaviour} (closing {close})"));
        parts.collect::<Vec<_>>().join(", ")
    }
}

impl Outcome {
    fn complaint(&self, id: &str) -> Option<String> {
        let passes = |word: &str| word == "OK" || (word == "INFORMATIONAL" && is_open(id));
        if passes(&self.behaviour) && passes(&self.close) {
            return None;
        }
        let Self {
            behaviour,
            close,
            detail,
        } = self;
        Some(format!("{id}: {behaviour}, closing {close}. {detail}"))
    }
}

/// Cases on which RFC 6455 is silent: 7.1.6 sends much data before a close, 7.13.* close with codes from
/// beyond the ranges of section 7.4.2.
fn is_open(id: &str) -> bool {
    id == "7.1.6" || id.starts_with("7.13.")
}

fn detail(path: &Path) -> String {
    let Some(case) = read_json(path) else {
        return format!("(no details in {})", path.display());
    };
    let word = |key: &str| case[key].as_str().unwrap_or_default();
    let (result, close) = (word("result"), word("resultClose"));
    format!(
        "{result} {close} Whole story: {}",
        path.with_extension("html").display()
    )
}

fn read_json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(id: &str, behaviour: &str, close: &str) -> Vec<String> {
        let outcome = Outcome {
            behaviour: behaviour.to_owned(),
            close: close.to_owned(),
            detail: String::new(),
        };
        let mut report = Report::default();
        report.outcomes.insert(id.to_owned(), outcome);
        report.complaints(&[id.to_owned()])
    }

    #[test]
    fn only_ok_passes() {
        assert!(complaints("1.1.1", "OK", "OK").is_empty());
        for word in [
            "FAILED",
            "NON-STRICT",
            "UNIMPLEMENTED",
            "INFORMATIONAL",
            "",
            "ok",
        ] {
            assert_eq!(complaints("1.1.1", word, "OK").len(), 1, "{word}");
            assert_eq!(complaints("1.1.1", "OK", word).len(), 1, "{word}");
        }
        for word in ["UNCLEAN", "WRONG CODE", "FAILED BY CLIENT"] {
            assert_eq!(complaints("1.1.1", "OK", word).len(), 1, "{word}");
        }
    }

    #[test]
    fn informational_passes_only_where_the_rfc_is_silent() {
        for id in ["7.1.6", "7.13.1", "7.13.2"] {
            assert!(complaints(id, "INFORMATIONAL", "INFORMATIONAL").is_empty());
            assert_eq!(complaints(id, "NON-STRICT", "OK").len(), 1);
        }
        for id in ["7.1.5", "7.1.60", "17.13.1"] {
            assert_eq!(complaints(id, "INFORMATIONAL", "OK").len(), 1);
        }
    }

    #[test]
    fn a_case_without_a_verdict_and_an_accident_are_complaints() {
        let mut report = Report::read(Path::new("/nowhere"), "sockeye");
        report.accidents.push("the client crashed".to_owned());
        assert_eq!(report.complaints(&["1.1.1".to_owned()]).len(), 2);
    }
}
