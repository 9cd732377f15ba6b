//! Who somebody is: a secret that only their browser holds, and an address that everybody may know.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::{Uuid, Variant};

/// The `uuid` of the dialect: who holds it is that person. A UUID of version 4, so nobody guesses it.
///
/// It goes to its own browser and nowhere else; others know the [`Address`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Person(Uuid);

impl Person {
    /// Somebody, in a test.
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Self(Uuid::new_v4())
    }

    /// For whom makes them: a UUID of version 4.
    pub(crate) fn of(uuid: Uuid) -> Self {
        Self(uuid)
    }

    pub(crate) fn uuid(self) -> Uuid {
        self.0
    }

    /// `None` for what no server of ours can have made.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let uuid = Uuid::try_parse(text).ok()?;
        let is_ours = uuid.get_version_num() == 4
            && uuid.get_variant() == Variant::RFC4122
            && text.len() == uuid::fmt::Hyphenated::LENGTH;
        is_ours.then_some(Self(uuid))
    }

    /// What others write to. It follows from the secret, and the secret doesn't follow from it.
    pub(crate) fn address(self) -> Address {
        let mut hash = Sha256::new();
        hash.update(b"sockeye chat address\0");
        hash.update(self.0.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        // Version 8: a UUID made in a way of one's own (RFC 9562 section 5.8).
        Address(Uuid::new_v8(bytes))
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for Person {
    /// By the address: the secret must not stand in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Person({})", self.address())
    }
}

/// Where private messages to a person go. A UUID too, of version 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Address(Uuid);

impl Address {
    /// What a page gives as the receiver: an address, or the person's own `uuid`, which leads to it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let uuid = Uuid::try_parse(text).ok()?;
        match uuid.get_version_num() {
            4 => Some(Person(uuid).address()),
            8 => Some(Self(uuid)),
            _ => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_a_version_4_uuid_and_nothing_else() {
        let person = Person::new();
        assert_eq!(Person::parse(&person.to_string()), Some(person));
        let address = person.address().to_string();
        for bad in ["", "abc", "00000000-0000-0000-0000-000000000000", &address] {
            assert_eq!(Person::parse(bad), None, "{bad}");
        }
        // Other ways to write the same UUID are not ours.
        assert_eq!(Person::parse(&person.to_string().replace('-', "")), None);
    }

    #[test]
    fn an_address_is_the_same_each_time_and_does_not_show_the_secret() {
        let (one, other) = (Person::new(), Person::new());
        assert_eq!(one.address(), one.address());
        assert_ne!(one.address(), other.address());
        assert_ne!(one.address().to_string(), one.to_string());
        assert!(!format!("{one:?}").contains(&one.to_string()));
    }

    #[test]
    fn a_letter_finds_its_way_by_address_and_by_uuid() {
        let person = Person::new();
        let address = person.address();
        assert_eq!(Address::parse(&address.to_string()), Some(address));
        assert_eq!(Address::parse(&person.to_string()), Some(address));
        assert_eq!(Address::parse("somebody"), None);
    }
}
