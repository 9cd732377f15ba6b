//! A rate limit for answers that are much larger than their requests, in bytes for each person and network.
//!
//! A request of sixty bytes may ask for hundreds of kilobytes of history, so the bytes of earlier answers count.

use std::{collections::HashMap, hash::Hash};

use super::{Limits, client_network::ClientNetwork, limits::ByteRate};
use crate::identity::Address;

/// The bytes answered lately, by person and by network.
#[derive(Debug, Default)]
pub(crate) struct AnswerBudget {
    people: Buckets<Address>,
    origins: Buckets<ClientNetwork>,
}

/// The person who asks, and their network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requester {
    pub(crate) address: Address,
    pub(crate) origin: Option<ClientNetwork>,
}

impl AnswerBudget {
    /// Returns whether one more answer may be given, whatever its size.
    pub(crate) fn admit(&mut self, requester: Requester, limits: &Limits, now_ms: u64) -> bool {
        let Limits {
            answers: person,
            answers_origin: origin,
            ..
        } = limits;
        self.people.admits(requester.address, *person, now_ms)
            && requester
                .origin
                .is_none_or(|from| self.origins.admits(from, *origin, now_ms))
    }

    /// Counts an answer against later ones.
    pub(crate) fn charge(
        &mut self,
        requester: Requester,
        bytes: usize,
        limits: &Limits,
        now_ms: u64,
    ) {
        self.people
            .charge(requester.address, bytes, limits.answers, now_ms);
        if let Some(from) = requester.origin {
            self.origins
                .charge(from, bytes, limits.answers_origin, now_ms);
        }
    }
}

/// A token bucket for each key, kept as the debt that time has not yet repaid.
#[derive(Debug)]
struct Buckets<K>(HashMap<K, Debt>);

#[derive(Clone, Copy, Debug)]
struct Debt {
    /// Bytes at the time `at`.
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
    fn admits(&mut self, key: K, allowed: ByteRate, now_ms: u64) -> bool {
        let Some(debt) = self.0.get_mut(&key) else {
            // Without room for an entry, no answer is given.
            return self.0.len() < DEBTORS_MAX || self.forget_paid(allowed, now_ms);
        };
        debt.pay(allowed, now_ms);
        debt.bytes < allowed.burst
    }

    fn charge(&mut self, key: K, bytes: usize, allowed: ByteRate, now_ms: u64) {
        let debt = self.0.entry(key).or_insert(Debt {
            bytes: 0,
            at: now_ms,
        });
        debt.pay(allowed, now_ms);
        debt.bytes = debt.bytes.saturating_add(bytes as u64);
    }

    /// Removes entries without debt. Returns whether there is room for one more.
    fn forget_paid(&mut self, allowed: ByteRate, now_ms: u64) -> bool {
        self.0.retain(|_, debt| {
            debt.pay(allowed, now_ms);
            debt.bytes > 0
        });
        self.0.len() < DEBTORS_MAX
    }
}

impl Debt {
    fn pay(&mut self, allowed: ByteRate, now_ms: u64) {
        // `at` moves only when a byte is repaid, so that rounding loses nothing in small steps of time.
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

/// Most entries, for people and for networks each. An entry is removed when its debt is repaid.
const DEBTORS_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::identity::Person;

    fn requester(person: Person, ip: &str) -> Requester {
        Requester {
            address: person.address(),
            origin: Some(ip.parse::<IpAddr>().unwrap().into()),
        }
    }

    #[test]
    fn a_person_who_received_much_waits_and_no_other_does() {
        let limits = Limits {
            answers: ByteRate {
                burst: 100,
                per_second: 10,
            },
            answers_origin: ByteRate {
                burst: 1000,
                per_second: 100,
            },
            ..Limits::default()
        };
        let mut answers = AnswerBudget::default();
        let (ann, bob) = (
            requester(Person::new(), "192.0.2.1"),
            requester(Person::new(), "192.0.2.2"),
        );
        assert!(answers.admit(ann, &limits, 0));
        // One answer may have any size; the next waits until its debt is repaid.
        answers.charge(ann, 150, &limits, 0);
        assert!(!answers.admit(ann, &limits, 5000));
        assert!(answers.admit(bob, &limits, 0));
        assert!(answers.admit(ann, &limits, 5100));
        assert!(answers.admit(ann, &limits, 60_000));
    }

    #[test]
    fn people_of_one_network_share_a_limit() {
        let limits = Limits {
            answers: ByteRate {
                burst: 100,
                per_second: 10,
            },
            answers_origin: ByteRate {
                burst: 250,
                per_second: 10,
            },
            ..Limits::default()
        };
        let mut answers = AnswerBudget::default();
        let admitted = (0..10).filter(|_| {
            let requester = requester(Person::new(), "192.0.2.1");
            let is_admitted = answers.admit(requester, &limits, 0);
            if is_admitted {
                answers.charge(requester, 100, &limits, 0);
            }
            is_admitted
        });
        assert_eq!(admitted.count(), 3);
        assert!(answers.admit(requester(Person::new(), "192.0.2.2"), &limits, 0));
    }
}
