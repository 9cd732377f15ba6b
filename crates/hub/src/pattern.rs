//! Patterns in the configuration: names of channels, issuers, audiences.

use regex::{Regex, RegexBuilder};

/// A compiled regular expression. Matching takes time in proportion to the text.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

/// Bytes of a compiled pattern. A repetition of a repetition would compile to gigabytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

impl Pattern {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// The pattern is not a regular expression, or too large; the text says which, in one line.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        RegexBuilder::new(&with_ascii_classes(pattern))
            .size_limit(PATTERN_BYTES_MAX)
            .build()
            .map(Self)
            .map_err(|error| {
                // The error shows the pattern over several lines, and its last line says what is wrong.
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.trim_start_matches("error: ").to_owned()
            })
    }

    /// Returns whether the pattern matches somewhere in `text`.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// Replaces the classes that mean ASCII in Go's regular expressions and Unicode in Rust's. A pattern that was written
/// for the one must not admit more names with the other.
fn with_ascii_classes(pattern: &str) -> String {
    let mut replaced = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            replaced.push(character);
            continue;
        }
        match rest.next() {
            Some('d') => replaced.push_str("[0-9]"),
            Some('D') => replaced.push_str("[^0-9]"),
            Some('s') => replaced.push_str(r"[\t\n\f\r ]"),
            Some('S') => replaced.push_str(r"[^\t\n\f\r ]"),
            Some('w') => replaced.push_str("[0-9A-Za-z_]"),
            Some('W') => replaced.push_str("[^0-9A-Za-z_]"),
            Some('b') => replaced.push_str(r"(?-u:\b)"),
            Some(other) => replaced.extend(['\\', other]),
            None => replaced.push('\\'),
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(name)
    }

    #[test]
    fn a_pattern_without_anchors_matches_anywhere() {
        assert!(matches("[0-9]+", "room7"));
        assert!(!matches("^[0-9]+$", "room7"));
        assert!(matches("^[0-9]+$", "7"));
    }

    #[test]
    fn classes_are_ascii_as_in_go() {
        assert!(matches(r"^\w+$", "room_7"));
        assert!(!matches(r"^\w+$", "raum_ü"));
        assert!(matches(r"^\d$", "7"));
        assert!(!matches(r"^\d$", "٧"));
        assert!(matches(r"^[\w.-]+$", "a.b-c"));
        assert!(!matches(r"^[^\d]+$", "a7"));
        assert!(matches(r"^\W\D\S$", "üüü"));
        assert!(!matches(r"\s", "a\u{a0}b"));
        // A backslash that is itself escaped begins no class.
        assert!(matches(r"^\\d$", r"\d"));
        assert!(matches(r"^\p{L}+$", "ü"));
    }

    #[test]
    fn a_bad_pattern_is_explained_in_one_line() {
        let error = Pattern::new("room(").unwrap_err();
        assert_eq!(error, "unclosed group");
        let error = Pattern::new("(((a{1000}){1000}){1000})").unwrap_err();
        assert!(error.contains("size limit"), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}
