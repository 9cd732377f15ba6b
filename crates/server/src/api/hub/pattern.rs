//! Patterns of channel names.

use regex::{Regex, RegexBuilder};

/// A pattern of channel names: `*` is any text, also none, `?` any character, `[abc]`, `[a-z]` and `[!a-z]` one of some, `{news,chat}`
/// one of some texts, and `\` takes a meaning away. An empty one matches all names.
pub(super) struct Pattern(
    /// `None` matches all.
    Option<Regex>,
);

/// The text isn't a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InvalidPattern;

impl Pattern {
    /// Reads a pattern. Matching takes time in proportion to the lengths of pattern and name.
    pub(super) fn new(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        if text.len() > PATTERN_BYTES_MAX {
            return Err(InvalidPattern);
        }
        let expression = format!("^(?:{})$", expression_of(text)?);
        let mut builder = RegexBuilder::new(&expression);
        builder.dot_matches_new_line(true);
        let expression = builder.build().map_err(|_| InvalidPattern)?;
        Ok(Self(Some(expression)))
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        let Self(expression) = self;
        expression
            .as_ref()
            .is_none_or(|expression| expression.is_match(name))
    }
}

/// Returns the regular expression that means the same.
fn expression_of(text: &str) -> Result<String, InvalidPattern> {
    let mut expression = String::new();
    let mut braces = 0_usize;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '[' => {
                let rest = letters.as_str();
                let end = rest.find(']').ok_or(InvalidPattern)?;
                push_class(&rest[..end], &mut expression)?;
                letters = rest[end + 1..].chars();
            }
            '{' => {
                braces += 1;
                expression.push_str("(?:");
            }
            '}' if braces > 0 => {
                braces -= 1;
                expression.push(')');
            }
            ',' if braces > 0 => expression.push('|'),
            '\\' => push_literal(letters.next().ok_or(InvalidPattern)?, &mut expression),
            letter => push_literal(letter, &mut expression),
        }
    }
    match braces {
        0 => Ok(expression),
        _ => Err(InvalidPattern),
    }
}

/// Appends one of some characters: `abc`, `a-z`, `!a-z`.
fn push_class(content: &str, expression: &mut String) -> Result<(), InvalidPattern> {
    let (negation, content) = match content.strip_prefix('!') {
        Some(content) => ("^", content),
        None => ("", content),
    };
    if content.is_empty() {
        return Err(InvalidPattern);
    }
    expression.push('[');
    expression.push_str(negation);
    let letters: Vec<char> = content.chars().collect();
    match letters[..] {
        [first, '-', last] => {
            push_literal(first, expression);
            expression.push('-');
            push_literal(last, expression);
        }
        _ => {
            for letter in letters {
                push_literal(letter, expression);
            }
        }
    }
    expression.push(']');
    Ok(())
}

fn push_literal(letter: char, expression: &mut String) {
    expression.push_str(&regex::escape(letter.encode_utf8(&mut [0; 4])));
}

/// Bytes. A name has 255 at most.
const PATTERN_BYTES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, matches) in [
            ("", "news", true),
            ("*", "", true),
            ("news", "news", true),
            ("news", "newsletter", false),
            ("news*", "newsletter", true),
            ("*letter", "newsletter", true),
            ("n*t*r", "newsletter", true),
            ("n?ws", "news", true),
            ("n?ws", "nws", false),
            ("chat:*", "chat:", true),
            ("*:*", "chat", false),
            ("a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("room[0-9]", "room7", true),
            ("room[0-9]", "roomx", false),
            ("room[!0-9]", "roomx", true),
            ("room[abc]", "roomb", true),
            ("room[a^]", "room^", true),
            ("{news,chat}:*", "chat:1", true),
            ("{news,chat}:*", "talk:1", false),
            ("a{b,c{d,e}}", "ace", true),
            ("a,b", "a,b", true),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            ("a.b", "axb", false),
            ("a(b|c)+$", "a(b|c)+$", true),
        ] {
            let pattern_read = Pattern::new(pattern).unwrap();
            assert_eq!(pattern_read.matches(name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn what_has_no_end_is_no_pattern() {
        let long = "a".repeat(PATTERN_BYTES_MAX + 1);
        for pattern in ["[", "[]", "[!]", "{", "{a", r"a\", "[z-a]", &long] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }
}
