//! A client of the hub in another language: takes orders, tells facts.

use serde_json::Value;
use sockeye_checks::{Process, Source};

/// Where a client runs.
pub(crate) trait Peer {
    fn order(&mut self, line: &str);

    /// Waits for the next fact.
    fn next(&mut self) -> Value;
}

/// A client, and all that it has told.
pub(crate) struct Client<'a> {
    peer: Box<dyn Peer + 'a>,
    facts: Vec<Value>,
}

impl<'a> Client<'a> {
    pub(crate) fn new(peer: impl Peer + 'a) -> Self {
        Self {
            peer: Box::new(peer),
            facts: Vec::new(),
        }
    }

    pub(crate) fn order(&mut self, line: &str) {
        self.peer.order(line);
    }

    /// Asks something and returns the answer.
    pub(crate) fn ask(&mut self, line: &str) -> Value {
        let answers = self.all("answer").len();
        self.order(line);
        self.wait_for("answer", answers + 1)
    }

    /// Waits until `count` facts of a kind were told, and returns the last of them.
    pub(crate) fn wait_for(&mut self, kind: &str, count: usize) -> Value {
        self.wait_for_such(kind, count, |_| true)
    }

    /// The same for facts of a kind with a property.
    pub(crate) fn wait_for_such(
        &mut self,
        kind: &str,
        count: usize,
        such: impl Fn(&Value) -> bool,
    ) -> Value {
        loop {
            let mut found = self
                .facts
                .iter()
                .filter(|fact| fact["fact"] == kind && such(fact));
            if let Some(fact) = found.nth(count - 1) {
                return fact.clone();
            }
            let fact = self.peer.next();
            self.facts.push(fact);
        }
    }

    /// All facts of a kind so far, without the name of the kind.
    pub(crate) fn all(&self, kind: &str) -> Vec<Value> {
        let facts = self.facts.iter().filter(|fact| fact["fact"] == kind);
        facts
            .map(|fact| {
                let mut fact = fact.clone();
                fact.as_object_mut().expect("an object").remove("fact");
                fact
            })
            .collect()
    }

    /// Forgets what was told so far.
    pub(crate) fn forget(&mut self) {
        self.facts.clear();
    }
}

/// A program with its orders on standard input and its facts on standard output.
impl Peer for Process {
    fn order(&mut self, line: &str) {
        self.write_line(line);
    }

    fn next(&mut self) -> Value {
        self.wait_for("a fact", |line| {
            let is_fact = line.source == Source::Out;
            is_fact
                .then(|| serde_json::from_str(&line.text).ok())
                .flatten()
        })
    }
}
