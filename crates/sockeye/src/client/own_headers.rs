//! The header fields that a program adds to its request.

use std::fmt;

use http::{HeaderName, HeaderValue};

use crate::error::{Error, ErrorKind};

/// The header fields that a program adds to its request, in its order. The first mistake in them becomes an error when the
/// request is made.
#[derive(Clone, Default)]
pub(crate) struct OwnHeaders {
    fields: Vec<(String, String)>,
    mistake: Option<String>,
}

impl OwnHeaders {
    pub(crate) fn add<N, V>(&mut self, name: N, value: V)
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        let Ok(name) = name.try_into() else {
            let number = self.fields.len() + 1;
            return self.note(format!("the name of header field {number} is not a token"));
        };
        let value = value.try_into().ok();
        // A head is written as text.
        match value.and_then(|value| String::from_utf8(value.as_bytes().to_vec()).ok()) {
            Some(value) => self.fields.push((in_title_case(&name), value)),
            None => self.note(format!(
                "the value of header field `{name}` can't stand in a head"
            )),
        }
    }

    /// Returns the fields.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if one of them can't stand in a request.
    pub(crate) fn fields(&self) -> Result<&[(String, String)], Error> {
        match &self.mistake {
            None => Ok(&self.fields),
            Some(mistake) => {
                let error = Error::new(ErrorKind::Config, "the request can't be written");
                Err(error.with_source(mistake.clone()))
            }
        }
    }

    fn note(&mut self, mistake: String) {
        self.mistake.get_or_insert(mistake);
    }
}

/// Shows only the names, since values may be secrets.
impl fmt::Debug for OwnHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.fields.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

/// Returns the name in title case, as browsers write it over HTTP/1.1: some old servers compare names byte by byte.
fn in_title_case(name: &HeaderName) -> String {
    let mut begins_word = true;
    let in_case = |character: char| {
        let cased = match begins_word {
            true => character.to_ascii_uppercase(),
            false => character,
        };
        begins_word = character == '-';
        cased
    };
    name.as_str().chars().map(in_case).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_of_all_types_are_taken_and_names_are_written_in_title_case() {
        let mut headers = OwnHeaders::default();
        headers.add("x-api-key", "a");
        headers.add(String::from("ORIGIN"), String::from("b"));
        headers.add(http::header::COOKIE, HeaderValue::from_static("c=d"));
        let fields = headers.fields().unwrap();
        let expected = [("X-Api-Key", "a"), ("Origin", "b"), ("Cookie", "c=d")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(fields, expected);
        assert_eq!(
            format!("{headers:?}"),
            r#"["X-Api-Key", "Origin", "Cookie"]"#
        );
    }

    #[test]
    fn the_first_mistake_is_told_when_the_request_is_made() {
        let mut headers = OwnHeaders::default();
        headers.add("a", "b");
        headers.add("not a token", "b");
        headers.add("c", "d\r\nevil: e");
        let error = headers.fields().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, "the name of header field 2 is not a token");
    }
}
