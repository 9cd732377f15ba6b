//! Makes text from outside safe to show.

use core::fmt::{self, Write as _};

/// A value that is displayed without the characters that control a terminal, forge a line or change what a reader sees.
///
/// These are escaped as in Rust's literals (`\n`, `\u{1b}`):
/// - control characters except the tab, and the separators U+2028 and U+2029;
/// - characters that change the direction of the text around them (Unicode's `Bidi_Control`);
/// - invisible characters, except the two joiners (U+200C, U+200D), which Persian, Hindi and emoji need.
///
/// Everything else, a backslash too, stays as it is: the result is for people and can't be parsed back.
///
/// ```
/// use sockeye_proto::Printable;
///
/// let reason = "bye\n\u{1b}[2J\u{202e}";
/// assert_eq!(Printable(reason).to_string(), r"bye\n\u{1b}[2J\u{202e}");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Printable<T>(
    /// The value to display.
    pub T,
);

impl<T: fmt::Display> fmt::Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

/// A writer that escapes what is written through it.
struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((index, found)) = rest.char_indices().find(|(_, c)| is_escaped(*c)) {
            self.0.write_str(&rest[..index])?;
            write!(self.0, "{}", found.escape_default())?;
            rest = &rest[index + found.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

fn is_escaped(c: char) -> bool {
    match c {
        '\t' => false,
        ' '..='~' => false,
        // ALM, LRM and RLM, the embeddings and overrides, the isolates.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            true
        }
        '\u{2028}' | '\u{2029}' => true,
        // The soft hyphen, spaces without a width, annotations, tags.
        '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' => {
            true
        }
        '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => true,
        _ => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString as _};

    use super::*;

    #[test]
    fn characters_that_control_a_terminal_or_forge_a_line_are_escaped() {
        for hostile in [
            "\u{1b}]0;OWNED\u{7}",
            "\u{9b}2J",
            "\r\n2026-01-01 ERROR forged",
            "\u{2028}",
            "\u{85}",
            "\u{7f}",
            "\0",
            "\u{202e}gpj.exe",
            "\u{2066}\u{2069}",
            "\u{61c}\u{200e}\u{200f}",
            "a\u{200b}b\u{feff}",
            "\u{e0041}",
        ] {
            let shown = Printable(hostile).to_string();
            assert!(shown.is_ascii(), "{shown:?}");
            assert!(!shown.chars().any(char::is_control), "{shown:?}");
        }
        assert_eq!(Printable("a\r\nb\u{1b}[0m").to_string(), r"a\r\nb\u{1b}[0m");
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        for text in [
            "",
            "plain, with a\ttab",
            "zwei 你好 שלום",
            "👩\u{200d}👩\u{200d}👧",
            "می\u{200c}خواهم",
            "\u{fffd}",
        ] {
            assert_eq!(Printable(text).to_string(), text);
        }
    }

    #[test]
    fn a_value_is_escaped_wherever_it_writes() {
        let value = format_args!("{}-{:?}-{}", "a\n", "b\n", '\u{202e}').to_string();
        assert_eq!(
            Printable(&value).to_string(),
            format!(
                "{}",
                Printable(format_args!("{}-{:?}-{}", "a\n", "b\n", '\u{202e}'))
            )
        );
    }
}
