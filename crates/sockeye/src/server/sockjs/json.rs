//! Messages as JSON: what a client sends is parsed, what it gets is escaped.

use std::fmt;

/// The error for a body that is neither an array of strings nor, where that is allowed, one string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BrokenJson;

/// Whether one string may stand for an array of one string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BareString {
    /// As in a message of the transport `websocket`.
    Allowed,
    /// As in the body of a POST.
    Refused,
}

/// Calls `handle` with each message in `json`, an array of strings. A surrogate without its other half becomes U+FFFD, as in
/// browsers (WHATWG Encoding section 4.1), because no text in UTF-8 can have one.
///
/// `handle` may have been called when the error is found, so the caller drops what it got.
///
/// # Errors
///
/// `json` is anything else (RFC 8259), or not UTF-8.
pub(super) fn parse_messages(
    json: &[u8],
    bare_string: BareString,
    mut handle: impl FnMut(&str),
) -> Result<(), BrokenJson> {
    let text = str::from_utf8(json).map_err(|_| BrokenJson)?;
    let mut parser = Parser {
        rest: text,
        unescaped: String::new(),
    };
    parser.skip_whitespace();
    if bare_string == BareString::Allowed && parser.rest.starts_with('"') {
        handle(parser.string()?);
        return parser.end();
    }
    parser.expect('[')?;
    parser.skip_whitespace();
    if parser.expect(']').is_ok() {
        return parser.end();
    }
    loop {
        handle(parser.string()?);
        parser.skip_whitespace();
        if parser.expect(']').is_ok() {
            return parser.end();
        }
        parser.expect(',')?;
        parser.skip_whitespace();
    }
}

/// Appends `text` as a JSON string. Beside what JSON demands, those characters are escaped that browsers have changed on some
/// transports; the protocol lists them.
pub(super) fn push_string(text: &str, json: &mut Vec<u8>) {
    json.push(b'"');
    let mut copied = 0;
    let bytes = text.as_bytes();
    for (index, &byte) in bytes.iter().enumerate() {
        // The characters outside ASCII that are escaped begin with one of these two bytes.
        if !matches!(byte, 0..=0x1F | b'"' | b'\\' | 0xE2 | 0xEF) {
            continue;
        }
        let Some(letter) = text[index..]
            .chars()
            .next()
            .filter(|letter| is_escaped(*letter))
        else {
            continue;
        };
        json.extend_from_slice(&bytes[copied..index]);
        push_escape(letter, json);
        copied = index + letter.len_utf8();
    }
    json.extend_from_slice(&bytes[copied..]);
    json.push(b'"');
}

/// Returns whether `letter` doesn't stand for itself in a string.
fn is_escaped(letter: char) -> bool {
    matches!(
        letter,
        '"' | '\\'
            | '\0'..='\u{1f}'
            | '\u{200c}'..='\u{200f}'
            | '\u{2028}'..='\u{202f}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fff0}'..='\u{ffff}'
    )
}

/// Appends the escape of `letter`, which is in the Basic Multilingual Plane.
fn push_escape(letter: char, json: &mut Vec<u8>) {
    let short = match letter {
        '"' => b'"',
        '\\' => b'\\',
        '\u{8}' => b'b',
        '\t' => b't',
        '\n' => b'n',
        '\u{c}' => b'f',
        '\r' => b'r',
        _ => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            let code = u32::from(letter) as usize;
            json.extend_from_slice(b"\\u");
            json.extend([12, 8, 4, 0].map(|shift| DIGITS[code >> shift & 0xF]));
            return;
        }
    };
    json.extend_from_slice(&[b'\\', short]);
}

struct Parser<'a> {
    /// What is not parsed yet.
    rest: &'a str,
    /// The last string that had an escape.
    unescaped: String,
}

impl<'a> Parser<'a> {
    fn skip_whitespace(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn expect(&mut self, letter: char) -> Result<(), BrokenJson> {
        self.rest = self.rest.strip_prefix(letter).ok_or(BrokenJson)?;
        Ok(())
    }

    fn end(&mut self) -> Result<(), BrokenJson> {
        self.skip_whitespace();
        match self.rest {
            "" => Ok(()),
            _ => Err(BrokenJson),
        }
    }

    /// Parses a string.
    fn string(&mut self) -> Result<&str, BrokenJson> {
        self.expect('"')?;
        let plain = self.plain();
        if self.expect('"').is_ok() {
            return Ok(plain);
        }
        self.unescaped.clear();
        self.unescaped.push_str(plain);
        loop {
            self.expect('\\')?;
            self.escape()?;
            let plain = self.plain();
            self.unescaped.push_str(plain);
            if self.expect('"').is_ok() {
                return Ok(&self.unescaped);
            }
        }
    }

    /// Takes the characters that stand for themselves.
    fn plain(&mut self) -> &'a str {
        let is_special = |byte: &u8| matches!(byte, 0..=0x1F | b'"' | b'\\');
        let bytes = self.rest.as_bytes();
        let end = bytes.iter().position(is_special);
        let (plain, rest) = self.rest.split_at(end.unwrap_or(bytes.len()));
        self.rest = rest;
        plain
    }

    /// Parses what follows a backslash, and appends the character to `unescaped`.
    fn escape(&mut self) -> Result<(), BrokenJson> {
        let mut letters = self.rest.chars();
        let letter = match letters.next().ok_or(BrokenJson)? {
            letter @ ('"' | '\\' | '/') => letter,
            'b' => '\u{8}',
            't' => '\t',
            'n' => '\n',
            'f' => '\u{c}',
            'r' => '\r',
            'u' => {
                self.rest = letters.as_str();
                let letter = self.escaped_code()?;
                self.unescaped.push(letter);
                return Ok(());
            }
            _ => return Err(BrokenJson),
        };
        self.rest = letters.as_str();
        self.unescaped.push(letter);
        Ok(())
    }

    /// Parses the four digits of an escape, and a second escape if both are the halves of one character.
    fn escaped_code(&mut self) -> Result<char, BrokenJson> {
        let first = self.four_digits()?;
        if !(0xD800..0xDC00).contains(&first) {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let before = self.rest;
        if let Some(rest) = self.rest.strip_prefix("\\u") {
            self.rest = rest;
            let second = self.four_digits()?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return char::from_u32(code).ok_or(BrokenJson);
            }
        }
        self.rest = before;
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn four_digits(&mut self) -> Result<u32, BrokenJson> {
        let digits = self.rest.get(..4).ok_or(BrokenJson)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(BrokenJson);
        }
        self.rest = &self.rest[4..];
        u32::from_str_radix(digits, 16).map_err(|_| BrokenJson)
    }
}

impl fmt::Display for BrokenJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Broken JSON encoding.")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn messages(json: &str) -> Result<Vec<String>, BrokenJson> {
        let mut messages = Vec::new();
        parse_messages(json.as_bytes(), BareString::Refused, |message| {
            messages.push(message.to_owned());
        })?;
        Ok(messages)
    }

    fn escaped(text: &str) -> String {
        let mut json = Vec::new();
        push_string(text, &mut json);
        String::from_utf8(json).unwrap()
    }

    #[test]
    fn an_array_of_strings_is_its_messages() {
        for (json, expected) in [
            ("[]", &[][..]),
            (" [ ] ", &[]),
            ("[\"\"]", &[""]),
            ("[\"a\"]", &["a"]),
            ("\t[\r\n\"a\" , \"b\"]\n", &["a", "b"]),
            (r#"["\"\\\/\b\f\n\r\t"]"#, &["\"\\/\u{8}\u{c}\n\r\t"]),
            (r#"["x\u00e9\uFFFFy"]"#, &["x\u{e9}\u{ffff}y"]),
            (r#"["\ud83d\ude00"]"#, &["\u{1f600}"]),
            ("[\"\u{2028}\u{7f}\"]", &["\u{2028}\u{7f}"]),
        ] {
            assert_eq!(messages(json).unwrap(), expected, "{json}");
        }
    }

    #[test]
    fn a_surrogate_without_its_half_becomes_the_replacement_character() {
        for (json, expected) in [
            (r#"["\ud83d"]"#, "\u{fffd}"),
            (r#"["\ude00"]"#, "\u{fffd}"),
            (r#"["\ud83dx"]"#, "\u{fffd}x"),
            (r#"["\ud83d\n"]"#, "\u{fffd}\n"),
            (r#"["\ud83d\u0041"]"#, "\u{fffd}A"),
            (r#"["\ude00\ud83d"]"#, "\u{fffd}\u{fffd}"),
            (r#"["\ud83d\ud83d\ude00"]"#, "\u{fffd}\u{1f600}"),
        ] {
            assert_eq!(messages(json).unwrap(), [expected], "{json}");
        }
    }

    #[test]
    fn anything_else_is_broken() {
        for json in [
            "",
            " ",
            "[",
            "]",
            "[\"x",
            "[\"x\"",
            "[\"x\",",
            "[\"x\",]",
            "[,]",
            "[\"x\"]]",
            "[\"x\"][]",
            "[1]",
            "[null]",
            "[[\"x\"]]",
            "{}",
            "\"x\"",
            "[\"\n\"]",
            "[\"\\\n\"]",
            r#"["\x"]"#,
            r#"["\u12"]"#,
            r#"["\u+123"]"#,
            "[\"\\u12\u{e9}4\"]",
            r#"["\ud83d\u12"]"#,
            "[\"\\",
            "['x']",
        ] {
            assert_eq!(messages(json), Err(BrokenJson), "{json}");
        }
        let broken = parse_messages(b"[\"\xff\"]", BareString::Allowed, |_| {});
        assert_eq!(broken, Err(BrokenJson));
    }

    #[test]
    fn one_string_stands_for_an_array_where_that_is_allowed() {
        let mut messages = Vec::new();
        let mut parse = |json: &str| {
            parse_messages(json.as_bytes(), BareString::Allowed, |message| {
                messages.push(message.to_owned());
            })
        };
        assert_eq!(parse(" \"a\\n\" "), Ok(()));
        assert_eq!(parse("[\"b\"]"), Ok(()));
        assert_eq!(parse("\"c\" \"d\""), Err(BrokenJson));
        assert_eq!(messages, ["a\n", "b", "c"]);
    }

    #[test]
    fn what_browsers_have_changed_is_escaped_in_lower_case() {
        assert_eq!(escaped("  \0\n\r "), r#""  \u0000\n\r ""#);
        assert_eq!(escaped("\"\\/\u{8}\u{c}\t\u{1f}"), r#""\"\\/\b\f\t\u001f""#);
        let first_and_last = "\u{200c}\u{200f}\u{2028}\u{202f}\u{2060}\u{206f}\u{fff0}\u{ffff}";
        let expected = r#""\u200c\u200f\u2028\u202f\u2060\u206f\ufff0\uffff""#;
        assert_eq!(escaped(first_and_last), expected);
        let neighbours = "\u{200b}\u{2010}\u{2027}\u{2030}\u{205f}\u{2070}\u{ffef}\u{10000}%\u{7f}";
        assert_eq!(escaped(neighbours), format!("\"{neighbours}\""));
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_the_same_text_for_any_parser(text in any::<String>()) {
            let json = escaped(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), &*text);
            prop_assert_eq!(messages(&format!("[{json}]")).unwrap(), [text]);
        }

        #[test]
        fn an_array_is_valid_here_if_and_only_if_another_parser_takes_it(
            json in r#"\[?("(\\["nu/x]|[a-fA-F0-9]{2}|\\u00[0-9a-f]{2}|[^\\"]|\n){0,4}"?|[,\] ]|1){0,6}\]?"#
        ) {
            let expected = serde_json::from_str::<Vec<String>>(&json).map_err(|_| BrokenJson);
            prop_assert_eq!(messages(&json), expected, "{}", json);
        }
    }
}
