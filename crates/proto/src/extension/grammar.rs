//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1).

use alloc::{borrow::Cow, string::String, vec::Vec};

use super::ExtensionError;

/// An iterator over the extensions of one header field, in order. It ends after the first error.
///
/// ```text
/// extension-list  = 1#extension
/// extension       = extension-token *( ";" extension-param )
/// extension-param = token [ "=" ( token | quoted-string ) ]
/// ```
///
/// As in all HTTP lists, blanks may stand between any two tokens, and elements may be empty.
pub struct Extensions<'a> {
    /// The part of the field that is not read yet.
    rest: &'a [u8],
    /// `0 <= seen <= EXTENSIONS_MAX`.
    seen: usize,
    /// Whether the end or an error was reached.
    ended: bool,
}

/// One extension, offered or agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// A token, as it was written.
    pub name: &'a str,
    /// At most 16, in order and with repetitions.
    pub parameters: Vec<Parameter<'a>>,
}

/// One parameter of an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// A token, as it was written.
    pub name: &'a str,
    /// A token, without its quotes.
    pub value: Option<Cow<'a, str>>,
}

/// Checks that all fields follow the grammar. A server calls this first, because a malformed value must fail the connection
/// even if it names no known extension (RFC 6455 section 9.1).
///
/// # Errors
///
/// [`ExtensionError::Malformed`] or [`ExtensionError::TooMany`].
pub fn check<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Result<(), ExtensionError> {
    all(fields).map(drop)
}

/// Returns the extensions of all fields: several fields are one list (RFC 6455 section 9.1).
pub(super) fn all<'a>(
    fields: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<Extension<'a>>, ExtensionError> {
    let mut extensions = Vec::new();
    for field in fields {
        for extension in Extensions::new(field) {
            if extensions.len() == EXTENSIONS_MAX {
                return Err(ExtensionError::TooMany);
            }
            extensions.push(extension?);
        }
    }
    Ok(extensions)
}

impl<'a> Extensions<'a> {
    /// Creates an iterator over one header field.
    #[must_use]
    pub fn new(field: &'a [u8]) -> Self {
        Self {
            rest: field,
            seen: 0,
            ended: false,
        }
    }

    fn element(&mut self) -> Result<Option<Extension<'a>>, ExtensionError> {
        // Empty elements are skipped (RFC 9110 section 5.6.1.2) …
        loop {
            self.skip_blanks();
            if !self.eat(b',') {
                break;
            }
        }
        if self.rest.is_empty() {
            // … but a list has at least one element.
            return if self.seen == 0 {
                Err(ExtensionError::Malformed)
            } else {
                Ok(None)
            };
        }
        if self.seen == EXTENSIONS_MAX {
            return Err(ExtensionError::TooMany);
        }
        self.seen += 1;

        let name = self.token()?;
        let mut parameters = Vec::new();
        loop {
            self.skip_blanks();
            if self.rest.is_empty() || self.eat(b',') {
                return Ok(Some(Extension { name, parameters }));
            }
            if !self.eat(b';') {
                return Err(ExtensionError::Malformed);
            }
            if parameters.len() == PARAMETERS_MAX {
                return Err(ExtensionError::TooMany);
            }
            parameters.push(self.parameter()?);
        }
    }

    fn parameter(&mut self) -> Result<Parameter<'a>, ExtensionError> {
        self.skip_blanks();
        let name = self.token()?;
        self.skip_blanks();
        if !self.eat(b'=') {
            return Ok(Parameter { name, value: None });
        }
        self.skip_blanks();
        let value = if self.eat(b'"') {
            self.quoted()?
        } else {
            Cow::Borrowed(self.token()?)
        };
        Ok(Parameter {
            name,
            value: Some(value),
        })
    }

    /// Reads the rest of a quoted string, whose opening quote is consumed.
    ///
    /// RFC 6455 section 9.1: the unescaped value must be a token too.
    fn quoted(&mut self) -> Result<Cow<'a, str>, ExtensionError> {
        let mut value = String::new();
        loop {
            let (&byte, rest) = self.rest.split_first().ok_or(ExtensionError::Malformed)?;
            self.rest = rest;
            let byte = match byte {
                b'"' if value.is_empty() => return Err(ExtensionError::Malformed),
                b'"' => return Ok(Cow::Owned(value)),
                b'\\' => {
                    let (&escaped, rest) = rest.split_first().ok_or(ExtensionError::Malformed)?;
                    self.rest = rest;
                    escaped
                }
                byte => byte,
            };
            if !is_token_byte(byte) {
                return Err(ExtensionError::Malformed);
            }
            value.push(char::from(byte));
        }
    }

    fn token(&mut self) -> Result<&'a str, ExtensionError> {
        let length = self
            .rest
            .iter()
            .position(|&byte| !is_token_byte(byte))
            .unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        if token.is_empty() {
            return Err(ExtensionError::Malformed);
        }
        core::str::from_utf8(token).map_err(|_| ExtensionError::Malformed)
    }

    fn skip_blanks(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((&first, rest)) if first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Result<Extension<'a>, ExtensionError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let element = self.element().transpose();
        self.ended = !matches!(element, Some(Ok(_)));
        element
    }
}

/// RFC 9110 section 5.6.2, `tchar`.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Extensions of one handshake. A browser offers one; RFC 7692 section 7 shows lists of two.
const EXTENSIONS_MAX: usize = 16;

/// Parameters of one extension. permessage-deflate has four.
const PARAMETERS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};

    fn parsed(field: &str) -> Result<Vec<Extension<'_>>, ExtensionError> {
        all([field.as_bytes()])
    }

    fn flat(field: &str) -> String {
        let mut text = String::new();
        for extension in parsed(field).unwrap() {
            text.push_str(&format!("[{}", extension.name));
            for Parameter { name, value } in extension.parameters {
                match value {
                    None => text.push_str(&format!(" {name}")),
                    Some(value) => text.push_str(&format!(" {name}={value}")),
                }
            }
            text.push(']');
        }
        text
    }

    #[test]
    fn reads_the_examples_of_rfc_6455() {
        assert_eq!(flat("foo"), "[foo]");
        assert_eq!(flat("bar; baz=2"), "[bar baz=2]");
        assert_eq!(flat("deflate-stream"), "[deflate-stream]");
        assert_eq!(
            flat("mux; max-channels=4; flow-control, deflate-stream"),
            "[mux max-channels=4 flow-control][deflate-stream]"
        );
        assert_eq!(flat("private-extension"), "[private-extension]");
    }

    #[test]
    fn blanks_may_stand_between_tokens() {
        assert_eq!(flat("\t a ; b\t= 1 ;c , d "), "[a b=1 c][d]");
    }

    #[test]
    fn empty_list_elements_are_skipped() {
        assert_eq!(flat(",, a,, b ,"), "[a][b]");
    }

    #[test]
    fn quoted_values_are_unescaped() {
        assert_eq!(flat(r#"a; b="10""#), "[a b=10]");
        assert_eq!(flat(r#"a; b="1\0""#), "[a b=10]");
    }

    #[test]
    fn malformed_fields_are_refused() {
        for field in [
            "",
            " ",
            ",",
            "a b",
            "a;",
            "a; ;b",
            "a; =1",
            "a; b=",
            "a; b=1 2",
            ";",
            "=",
            "a=1",
            "a; b=\"",
            "a; b=\"\"",
            "a; b=\"1 2\"",
            "a; b=\"1\"2",
            "a; b=\"\\",
            "a; b=\"1\\\"",
            "a; b=\"1,2\"",
            "ä",
            "a; b=\u{7f}",
            "a/b",
            "a; b=\"\\\"\"",
        ] {
            assert_eq!(parsed(field), Err(ExtensionError::Malformed), "{field:?}");
        }
    }

    #[test]
    fn nothing_comes_after_an_error() {
        let mut extensions = Extensions::new(b"a; , b");
        assert_eq!(extensions.next(), Some(Err(ExtensionError::Malformed)));
        assert_eq!(extensions.next(), None);
    }

    #[test]
    fn several_fields_are_one_list() {
        let fields: [&[u8]; 2] = [b"a, b", b"c"];
        let names: Vec<_> = all(fields).unwrap().iter().map(|one| one.name).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn lists_are_bounded() {
        let many = |count| vec!["a"; count].join(",");
        assert!(parsed(&many(EXTENSIONS_MAX)).is_ok());
        assert_eq!(
            parsed(&many(EXTENSIONS_MAX + 1)),
            Err(ExtensionError::TooMany)
        );
        let fields = vec![b"a".as_slice(); EXTENSIONS_MAX + 1];
        assert_eq!(all(fields), Err(ExtensionError::TooMany));

        let many = |count| vec!["a"; count + 1].join(";");
        assert!(parsed(&many(PARAMETERS_MAX)).is_ok());
        assert_eq!(
            parsed(&many(PARAMETERS_MAX + 1)),
            Err(ExtensionError::TooMany)
        );
    }
}
