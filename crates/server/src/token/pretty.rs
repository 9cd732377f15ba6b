//! JSON for people: one member a line, nothing changed.

/// Puts the members of valid JSON on lines of their own, and leaves names, numbers and strings as they are.
pub(crate) fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut is_in_string = false;
    let mut is_escaped = false;
    // A bracket that has just been opened: no line break yet, because nothing may be inside.
    let mut is_open = false;
    for character in json.chars() {
        if is_in_string {
            is_in_string = is_escaped || character != '"';
            is_escaped = !is_escaped && character == '\\';
            out.push(character);
            continue;
        }
        if character.is_ascii_whitespace() {
            continue;
        }
        let is_closing = matches!(character, '}' | ']');
        if is_closing {
            depth = depth.saturating_sub(1);
        }
        if is_open != is_closing {
            break_line(&mut out, depth);
        }
        is_open = matches!(character, '{' | '[');
        is_in_string = character == '"';
        out.push(character);
        match character {
            '{' | '[' => depth += 1,
            ',' => break_line(&mut out, depth),
            ':' => out.push(' '),
            _ => {}
        }
    }
    out
}

fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    // Deeper than people can read, the width stays.
    out.extend(std::iter::repeat_n("  ", depth.min(INDENT_MAX)));
}

/// Levels.
const INDENT_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stand_on_lines_of_their_own_and_values_stay() {
        let json =
            r#"{"a" : 12345678901234567890.0,"b":[],"c":{"d":["x, {y} \" \\",true]}, "e":{ }}"#;
        let expected = r#"{
  "a": 12345678901234567890.0,
  "b": [],
  "c": {
    "d": [
      "x, {y} \" \\",
      true
    ]
  },
  "e": {}
}"#;
        assert_eq!(indented(json), expected);
        assert_eq!(indented(" 1 "), "1");
        assert_eq!(indented("[[]]"), "[\n  []\n]");
    }
}
