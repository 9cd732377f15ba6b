//! The key that lets a program use the API.

use std::sync::Arc;

use axum::http::HeaderMap;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::config::ApiKey;

/// The API key: the configured one, or one made for this run.
#[derive(Clone)]
pub(crate) struct Key {
    digest: [u8; 32],
    made: Option<Arc<str>>,
}

impl Key {
    /// Takes the configured key, or makes one.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub(crate) fn chosen(configured: Option<&ApiKey>) -> Result<Self, String> {
        if let Some(ApiKey(key)) = configured {
            return Ok(Self {
                digest: digest(key.as_bytes()),
                made: None,
            });
        }
        let mut random = [0; MADE_BYTES];
        getrandom::fill(&mut random).map_err(|error| format!("cannot make an API key: {error}"))?;
        let made = URL_SAFE_NO_PAD.encode(random);
        Ok(Self {
            digest: digest(made.as_bytes()),
            made: Some(made.into()),
        })
    }

    /// Returns the key if it was made for this run, to print it.
    pub(crate) fn made(&self) -> Option<&str> {
        self.made.as_deref()
    }

    /// Returns whether the request carries the key, in exactly one field.
    pub(super) fn is_shown(&self, headers: &HeaderMap) -> bool {
        let mut shown = headers.get_all(FIELD).iter();
        // Compares digests in constant time, so that timing doesn't reveal the key.
        match (shown.next(), shown.next()) {
            (Some(value), None) => digest(value.as_bytes()) == self.digest,
            _ => false,
        }
    }
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// The header field that carries the key.
pub(super) const FIELD: &str = "x-api-key";

/// Bytes. 144 bits can't be guessed, and 24 characters can be copied by hand.
const MADE_BYTES: usize = 18;

#[cfg(test)]
mod tests {
    use super::*;

    fn shows(key: &Key, values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(FIELD, value.parse().unwrap());
        }
        key.is_shown(&headers)
    }

    #[test]
    fn only_the_key_itself_shown_once_is_right() {
        let key = Key::chosen(Some(&ApiKey("right".to_owned()))).unwrap();
        assert!(shows(&key, &["right"]));
        for wrong in [&[][..], &[""], &["Right"], &["righ"], &["right", "right"]] {
            assert!(!shows(&key, wrong), "{wrong:?}");
        }
        assert_eq!(key.made(), None);
    }

    #[test]
    fn a_key_that_is_made_is_another_one_each_time() {
        let [one, other] = [(); 2].map(|()| Key::chosen(None).unwrap());
        let made = one.made().unwrap();
        assert_eq!(made.len(), 24);
        assert!(shows(&one, &[made]) && !shows(&other, &[made]));
    }
}
