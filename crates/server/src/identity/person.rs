//! A person: a secret that only their browser has, and a public address.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::{Uuid, Variant};

/// A person's secret: the `uuid` of the chat's protocol, a random UUID of version 4.
///
/// It is sent to the person's own browser only. Other people see the [`Address`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Person(Uuid);

impl Person {
    /// Creates a random person for a test.
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Self(Uuid::new_v4())
    }

    /// Wraps a UUID of version 4.
    pub(crate) fn of(uuid: Uuid) -> Self {
        Self(uuid)
    }

    pub(crate) fn uuid(self) -> Uuid {
        self.0
    }

    /// Parses a UUID; `None` if this program can't have made it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let uuid = Uuid::try_parse(text).ok()?;
        let is_ours = uuid.get_version_num() == 4
            && uuid.get_variant() == Variant::RFC4122
            && text.len() == uuid::fmt::Hyphenated::LENGTH;
        is_ours.then_some(Self(uuid))
    }

    /// Returns the public address. It is a hash of the secret.
    pub(crate) fn address(self) -> Address {
        let mut hash = Sha256::new();
        hash.update(b"sockeye chat address\0");
        hash.update(self.0.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        // Version 8: a vendor-specific UUID (RFC 9562 section 5.8).
        Address(Uuid::new_v8(bytes))
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for Person {
    /// Writes the address, since the secret must not be in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Person({})", self.address())
    }
}

/// A person's public address, to which private messages are sent. A UUID of version 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Address(Uuid);

impl Address {
    /// Parses a recipient: an address, or the person's own `uuid`, from which the address follows.
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
        // Other notations of the same UUID are refused.
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
    fn a_recipient_is_an_address_or_a_uuid() {
        let person = Person::new();
        let address = person.address();
        assert_eq!(Address::parse(&address.to_string()), Some(address));
        assert_eq!(Address::parse(&person.to_string()), Some(address));
        assert_eq!(Address::parse("somebody"), None);
    }
}
