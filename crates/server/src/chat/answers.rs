//! How much of the history is given to whom: some at once, and so much per second for good.
//!
//! A page asks with sixty bytes for what may be hundreds of kilobytes, so who asks pays with what they were given before.

use std::{collections::HashMap, hash::Hash};

use super::{Limits, origin::Origin, person::Address};

/// What visitors were given, by person and by network address.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    people: Buckets<Address>,
    origins: Buckets<Origin>,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    pub(crate) address: Address,
    pub(crate) origin: Option<Origin>,
}

impl Answers {
    /// Whether one more answer may be made, however large it becomes.
    pub(crate) fn admit(&mut self, asker: Asker, limits: &Limits, now_ms: u64) -> bool {
        let Limits {
            answers: person,
            answers_origin: origin,
            ..
        } = limits;
        self.people.admits(asker.address, *person, now_ms)
            && asker
                .origin
                .is_none_or(|from| self.origins.admits(from, *origin, now_ms))
    }

    /// An answer was made; it counts against what may be made later.
    pub(crate) fn charge(&mut self, asker: Asker, bytes: usize, limits: &Limits, now_ms: u64) {
        self.people
            .charge(asker.address, bytes, limits.answers, now_ms);
        if let Some(from) = asker.origin {
            self.origins
                .charge(from, bytes, limits.answers_origin, now_ms);
        }
    }
}

/// How much at once, and how much for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// Bytes that may be given at once, after silence.
    pub(crate) burst: u64,
    /// Bytes per second.
    pub(crate) per_second: u64,
}

/// What each has been given beyond what time has made good.
#[derive(Debug)]
struct Buckets<K>(HashMap<K, Debt>);

#[derive(Clone, Copy, Debug)]
struct Debt {
    /// Bytes, as of `at`.
    bytes: u64,
    /// Milliseconds since 1970.
    at: u64,
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Copy + Eq + Hash> Buckets<K> {
    fn admits(&mut self, key: K, allowed: Allowed, now_ms: u64) -> bool {
        let Some(debt) = self.0.get_mut(&key) else {
            // Who can't be remembered can't be given anything either.
            return self.0.len() < DEBTORS_MAX || self.forget_paid(allowed, now_ms);
        };
        debt.pay(allowed, now_ms);
        debt.bytes < allowed.burst
    }

    fn charge(&mut self, key: K, bytes: usize, allowed: Allowed, now_ms: u64) {
        let debt = self.0.entry(key).or_insert(Debt {
            bytes: 0,
            at: now_ms,
        });
        debt.pay(allowed, now_ms);
        debt.bytes = debt.bytes.saturating_add(bytes as u64);
    }

    /// Whether there is room for one more then.
    fn forget_paid(&mut self, allowed: Allowed, now_ms: u64) -> bool {
        self.0.retain(|_, debt| {
            debt.pay(allowed, now_ms);
            debt.bytes > 0
        });
        self.0.len() < DEBTORS_MAX
    }
}

impl Debt {
    fn pay(&mut self, allowed: Allowed, now_ms: u64) {
        // In small steps of time nothing is lost to rounding: milliseconds that pay for no byte stay unspent.
        let paid = now_ms
            .saturating_sub(self.at)
            .saturating_mul(allowed.per_second)
            / 1000;
        if paid > 0 || now_ms < self.at {
            self.bytes = self.bytes.saturating_sub(paid);
            self.at = now_ms;
        }
    }
}

/// People, and addresses, that are remembered to have been given something. Each is forgotten when it is paid.
const DEBTORS_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::chat::Person;

    fn asker(person: Person, ip: &str) -> Asker {
        Asker {
            address: person.address(),
            origin: Some(ip.parse::<IpAddr>().unwrap().into()),
        }
    }

    #[test]
    fn who_was_given_much_waits_and_nobody_else_does() {
        let limits = Limits {
            answers: Allowed {
                burst: 100,
                per_second: 10,
            },
            answers_origin: Allowed {
                burst: 1000,
                per_second: 100,
            },
            ..Limits::default()
        };
        let mut answers = Answers::default();
        let (ann, bob) = (
            asker(Person::new(), "192.0.2.1"),
            asker(Person::new(), "192.0.2.2"),
        );
        assert!(answers.admit(ann, &limits, 0));
        // One answer may be as large as it is; what follows waits until it is paid.
        answers.charge(ann, 150, &limits, 0);
        assert!(!answers.admit(ann, &limits, 5000));
        assert!(answers.admit(bob, &limits, 0));
        assert!(answers.admit(ann, &limits, 5100));
        assert!(answers.admit(ann, &limits, 60_000));
    }

    #[test]
    fn many_people_of_one_address_share() {
        let limits = Limits {
            answers: Allowed {
                burst: 100,
                per_second: 10,
            },
            answers_origin: Allowed {
                burst: 250,
                per_second: 10,
            },
            ..Limits::default()
        };
        let mut answers = Answers::default();
        let admitted = (0..10).filter(|_| {
            let asker = asker(Person::new(), "192.0.2.1");
            let is_admitted = answers.admit(asker, &limits, 0);
            if is_admitted {
                answers.charge(asker, 100, &limits, 0);
            }
            is_admitted
        });
        assert_eq!(admitted.count(), 3);
        assert!(answers.admit(asker(Person::new(), "192.0.2.2"), &limits, 0));
    }
}
