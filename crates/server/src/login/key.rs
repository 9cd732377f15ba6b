//! A secret of 128 bits.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

/// A secret of 128 random bits, written as 22 characters that fit in a URL and a cookie.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 16]);

impl Key {
    /// Creates a random key.
    ///
    /// # Panics
    ///
    /// The system has no random numbers.
    pub(crate) fn random() -> Self {
        // A UUID of version 4 has 122 random bits; two of them have enough for 128.
        let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
        let mut bytes = *one.as_bytes();
        bytes[6] = other.as_bytes()[0];
        bytes[8] = other.as_bytes()[1];
        Self(bytes)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Compares two keys in constant time.
    pub(crate) fn matches(self, shown: Self) -> bool {
        self.0.ct_eq(&shown.0).into()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_never_the_same() {
        let key = Key::random();
        assert!(key.matches(key) && !key.matches(Key::random()));
        assert_eq!(Key::parse(&key.to_string()), Some(key));
        assert_eq!(key.to_string().len(), 22);
        assert_ne!(key, Key::random());
        for bad in ["", "short", "//////////////////////", &"a".repeat(23)] {
            assert_eq!(Key::parse(bad), None, "{bad}");
        }
    }
}
