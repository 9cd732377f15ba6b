//! The key that lets a program use the API.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};

use crate::config::ApiKey;

/// The API key: the configured one, one made for this run, or none that is asked for.
#[derive(Clone)]
pub(crate) struct Key {
    /// `None`: everybody may use the API.
    digest: Option<[u8; 32]>,
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
                digest: Some(digest(key.as_bytes())),
                made: None,
            });
        }
        let mut random = [0; MADE_BYTES];
        getrandom::fill(&mut random).map_err(|error| format!("cannot make an API key: {error}"))?;
        let made = URL_SAFE_NO_PAD.encode(random);
        Ok(Self {
            digest: Some(digest(made.as_bytes())),
            made: Some(made.into()),
        })
    }

    /// Asks nobody for a key.
    pub(crate) fn none() -> Self {
        Self {
            digest: None,
            made: None,
        }
    }

    /// Returns the key if it was made for this run, to print it.
    pub(crate) fn made(&self) -> Option<&str> {
        self.made.as_deref()
    }

    /// Returns whether the request carries the key: in `X-API-Key`, in `Authorization: apikey KEY`, or in the query as
    /// `api_key`. It may carry others beside it, as a back end does that sends a field of its own through a proxy that adds one.
    pub(crate) fn is_shown(&self, headers: &HeaderMap, query: &str) -> bool {
        let Some(expected) = self.digest else {
            return true;
        };
        let in_field = headers.get_all(FIELD).iter().map(HeaderValue::as_bytes);
        let authorizations = headers.get_all(header::AUTHORIZATION).iter();
        let in_authorization = authorizations.filter_map(|value| {
            let (scheme, key) = value.as_bytes().split_at_checked(SCHEME.len())?;
            scheme.eq_ignore_ascii_case(SCHEME).then_some(key)
        });
        // RFC 9110, 11.4: there may be several blanks between scheme and credentials.
        let in_authorization = in_authorization.map(|key| {
            let blanks = key.iter().take_while(|byte| **byte == b' ').count();
            &key[blanks..]
        });
        let in_query = query
            .split('&')
            .filter_map(|part| part.strip_prefix("api_key="));
        let in_query = in_query.map(|key| percent_decode_str(key).collect::<Vec<u8>>());
        // Compares digests in constant time, so that timing doesn't reveal the key.
        let shown = in_field
            .chain(in_authorization)
            .map(digest)
            .chain(in_query.map(|key| digest(&key)));
        shown.take(SHOWN_MAX).any(|shown| shown == expected)
    }
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// The header field that carries the key.
pub(super) const FIELD: &str = "x-api-key";

/// What stands before the key in the field `Authorization`.
const SCHEME: &[u8] = b"apikey ";

/// Keys of one request that are looked at: one for each place, and one more. Whoever guesses keys is counted by requests.
const SHOWN_MAX: usize = 4;

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
        key.is_shown(&headers, "")
    }

    #[test]
    fn only_the_key_itself_is_right() {
        let key = Key::chosen(Some(&ApiKey("right".to_owned()))).unwrap();
        assert!(shows(&key, &["right"]));
        assert!(shows(&key, &["wrong", "right"]));
        let late = ["1", "2", "3", "4", "right"];
        for wrong in [&[][..], &[""], &["Right"], &["righ"], &late] {
            assert!(!shows(&key, wrong), "{wrong:?}");
        }
        assert_eq!(key.made(), None);
    }

    #[test]
    fn the_key_can_be_shown_in_three_places_and_beside_a_wrong_one() {
        let key = Key::chosen(Some(&ApiKey("r&ght".to_owned()))).unwrap();
        let mut headers = HeaderMap::new();
        assert!(key.is_shown(&headers, "a=b&api_key=r%26ght"));
        assert!(key.is_shown(&headers, "api_key=wrong&api_key=r%26ght"));
        headers.insert(header::AUTHORIZATION, "ApiKey r&ght".parse().unwrap());
        assert!(key.is_shown(&headers, ""));
        assert!(key.is_shown(&headers, "api_key=wrong"));
        headers.insert(header::AUTHORIZATION, "apikey   r&ght".parse().unwrap());
        assert!(key.is_shown(&headers, ""));
        headers.insert(header::AUTHORIZATION, "Bearer r&ght".parse().unwrap());
        assert!(!key.is_shown(&headers, ""));
    }

    #[test]
    fn a_key_that_is_made_is_another_one_each_time() {
        let [one, other] = [(); 2].map(|()| Key::chosen(None).unwrap());
        let made = one.made().unwrap();
        assert_eq!(made.len(), 24);
        assert!(shows(&one, &[made]) && !shows(&other, &[made]));
    }
}
