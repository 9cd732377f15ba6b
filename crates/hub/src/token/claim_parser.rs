//! Reading claims out of JSON: each by name, with an error that names it.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::TokenError;
use crate::UnixMillis;

/// The members of a JSON object, each still as the application wrote it. No name is there twice.
///
/// A member that is `null` counts as absent, as it does in the languages that tokens are written in.
pub(crate) struct ClaimParser<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> ClaimParser<'a> {
    pub(crate) fn new(json: &'a [u8]) -> Result<Self, TokenError> {
        serde_json::from_slice(json).map_err(|_| {
            TokenError::invalid("the claims aren't a JSON object in which each name is there once")
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn string(&self, name: &str) -> Result<Option<String>, TokenError> {
        self.parsed(name, "a string")
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, TokenError> {
        self.parsed(name, "true or false")
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, TokenError> {
        self.parsed(name, "an integer")
    }

    /// Returns a string, or an integer as a string.
    pub(crate) fn string_or_integer(&self, name: &str) -> Result<Option<String>, TokenError> {
        if let Ok(Some(integer)) = self.parsed::<i64>(name, "") {
            return Ok(Some(integer.to_string()));
        }
        self.parsed(name, "a string or an integer")
    }

    pub(crate) fn strings(&self, name: &str) -> Result<Vec<String>, TokenError> {
        Ok(self
            .parsed(name, "an array of strings")?
            .unwrap_or_default())
    }

    /// Returns an array of strings, or one string as an array.
    pub(crate) fn string_or_strings(&self, name: &str) -> Result<Vec<String>, TokenError> {
        if let Ok(Some(string)) = self.string(name) {
            return Ok(vec![string]);
        }
        Ok(self
            .parsed(name, "a string or an array of strings")?
            .unwrap_or_default())
    }

    /// Returns a `NumericDate` (RFC 7519, section 2): seconds since 1970, fractions allowed. Earlier dates are that one,
    /// dates that are too far away the last one there is.
    pub(crate) fn date(&self, name: &str) -> Result<Option<UnixMillis>, TokenError> {
        let seconds: Option<f64> = self.parsed(name, "a number of seconds")?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` cuts the fraction of a millisecond and stops at both ends"
        )]
        Ok(seconds.map(|seconds| UnixMillis((seconds * 1000.0) as u64)))
    }

    /// Returns any JSON, on one line, so that it can stand in a stream of lines.
    pub(crate) fn json(&self, name: &str) -> Result<Option<Bytes>, TokenError> {
        Ok(self.present(name).map(|raw| {
            if raw.contains(['\n', '\r']) {
                Bytes::from(on_one_line(raw))
            } else {
                Bytes::copy_from_slice(raw.as_bytes())
            }
        }))
    }

    /// Returns the bytes in a string of base64 (RFC 4648, section 4, with padding). An empty string counts as absent.
    pub(crate) fn base64(&self, name: &str) -> Result<Option<Bytes>, TokenError> {
        let Some(text) = self.string(name)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        match STANDARD.decode(text) {
            Ok(bytes) => Ok(Some(Bytes::from(bytes))),
            Err(_) => Err(wrong(name, "base64")),
        }
    }

    pub(crate) fn object(&self, name: &str) -> Result<Option<Self>, TokenError> {
        self.parsed(name, "an object in which each name is there once")
    }

    /// Returns all members, which must be objects. `null` is an empty one.
    pub(crate) fn objects(&self) -> Result<Vec<(String, Self)>, TokenError> {
        self.0
            .keys()
            .map(|name| {
                let object = self.object(name)?;
                Ok((name.clone(), object.unwrap_or(Self(BTreeMap::new()))))
            })
            .collect()
    }

    fn present(&self, name: &str) -> Option<&'a str> {
        self.0
            .get(name)
            .map(|raw| raw.get())
            .filter(|&raw| raw != "null")
    }

    fn parsed<T: Deserialize<'a>>(
        &self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, TokenError> {
        match self.present(name) {
            Some(raw) => serde_json::from_str(raw)
                .map(Some)
                .map_err(|_| wrong(name, expected)),
            None => Ok(None),
        }
    }
}

fn wrong(name: &str, expected: &str) -> TokenError {
    TokenError::invalid(format!("`{name}` isn't {expected}"))
}

/// Removes the white space between the values of valid JSON.
fn on_one_line(json: &str) -> String {
    let mut is_in_string = false;
    let mut is_escaped = false;
    let mut kept = String::with_capacity(json.len());
    for character in json.chars() {
        if is_in_string {
            is_in_string = is_escaped || character != '"';
            is_escaped = !is_escaped && character == '\\';
        } else if character == '"' {
            is_in_string = true;
        } else if character.is_ascii_whitespace() {
            continue;
        }
        kept.push(character);
    }
    kept
}

impl<'de> Deserialize<'de> for ClaimParser<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = ClaimParser<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    // RFC 7519, section 4: reject it, or take the last. Two parsers that differ here see two tokens.
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name is there twice"));
                    }
                }
                Ok(ClaimParser(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}
