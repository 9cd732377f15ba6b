//! Makes scripts, styles and markup shorter, without what only their authors need: comments, indentation and other space.
//!
//! The sources are ours, so this knows what they use and no more: scripts end their statements with semicolons, and no
//! element is written whose space from a line break would be seen.

use super::rename;

/// Shortens a script. What stands in strings, templates and regular expressions stays as it is.
/// `reachable` are the variables that keep their names.
pub(super) fn script(source: &str, reachable: &[&str]) -> String {
    let tokens = tokens(source);
    let texts: Vec<&str> = tokens.iter().map(|token| token.text).collect();
    let mut text = String::new();
    for (token, renamed) in tokens.iter().zip(rename::names(&texts, reachable)) {
        push(&mut text, token.space, &renamed);
    }
    text
}

struct Token<'a> {
    /// The space before it: a line break, if there is one.
    space: Option<char>,
    text: &'a str,
}

/// Returns the tokens of a script, without comments. A template is cut where its expressions begin and end.
fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let mut space = None;
    let mut rest = source;
    // The braces that are open, and whether each belongs to a template: then the text of the template follows it.
    let mut braces: Vec<Brace> = Vec::new();
    while let Some(letter) = rest.chars().next() {
        let before = tokens.last().map_or(";", |token| token.text);
        let length = match letter {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '\'' | '"' => quoted(rest),
            '`' => template(&rest[1..]) + 1,
            '}' if braces.last() == Some(&Brace::Template) => template(&rest[1..]) + 1,
            '/' if expects_value(before) => regular_expression(rest),
            _ if is_word(letter) => rest
                .find(|letter: char| !is_word(letter))
                .unwrap_or(rest.len()),
            _ => letter.len_utf8(),
        };
        let (text, after) = rest.split_at(length);
        rest = after;
        if text.starts_with("//") {
            continue;
        }
        if letter.is_whitespace() {
            if space != Some('\n') {
                space = Some(letter);
            }
            continue;
        }
        if letter == '}' {
            braces.pop();
        }
        if letter == '{' {
            braces.push(Brace::Block);
        } else if text.ends_with("${") {
            braces.push(Brace::Template);
        }
        let space = space.take();
        tokens.push(Token { space, text });
    }
    tokens
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Brace {
    Block,
    /// `${` in a template.
    Template,
}

/// Appends a token to a script, with the space before it if that is needed.
fn push(text: &mut String, space: Option<char>, token: &str) {
    if token.is_empty() {
        return;
    }
    let before = text.chars().next_back().unwrap_or(';');
    let after = token.chars().next().unwrap_or(';');
    let would_join =
        is_word(before) && is_word(after) || before == after && matches!(after, '+' | '-');
    let ends_nothing = "{}(,;[=+-*?:&|<>!.".contains(before) || "}).,?:]".contains(after);
    // What comes last in a list or a block needs nothing after it.
    if before == ',' && matches!(after, ')' | ']' | '}') || before == ';' && after == '}' {
        text.pop();
    }
    match space {
        Some(space) if would_join => text.push(space),
        // A statement without a semicolon may end here.
        Some('\n') if !ends_nothing => text.push('\n'),
        _ => {}
    }
    text.push_str(token);
}

/// Returns whether a slash after this token begins a regular expression, and doesn't divide.
fn expects_value(before: &str) -> bool {
    before.ends_with(|letter| "(,=:[!&|?{};>".contains(letter)) || before == "return"
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '$' | '#')
}

/// Returns the length of the string at the beginning.
fn quoted(text: &str) -> usize {
    let quote = text.chars().next();
    ended(text, |letter| Some(letter) == quote)
}

/// Returns the length of a template's text up to its end, or to the beginning of an expression.
fn template(text: &str) -> usize {
    let mut is_escaped = false;
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        match letter {
            _ if is_escaped => {
                is_escaped = false;
                before = ' ';
                continue;
            }
            '\\' => is_escaped = true,
            '`' => return at + 1,
            '{' if before == '$' => return at + 1,
            _ => {}
        }
        before = letter;
    }
    text.len()
}

/// Returns the length of the regular expression at the beginning, without its flags. A slash within brackets doesn't end it.
fn regular_expression(text: &str) -> usize {
    let mut is_in_brackets = false;
    ended(text, |letter| {
        match letter {
            '[' => is_in_brackets = true,
            ']' => is_in_brackets = false,
            _ => {}
        }
        letter == '/' && !is_in_brackets
    })
}

/// Returns the length up to the letter that ends what begins with the first one. A letter after a backslash doesn't.
fn ended(text: &str, mut ends: impl FnMut(char) -> bool) -> usize {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if ends(letter) => return at + letter.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Shortens a style.
pub(super) fn style(source: &str) -> String {
    let mut text = String::new();
    let mut rest = source;
    while let Some(letter) = rest.chars().next() {
        let length = match letter {
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
            '"' => quoted(rest),
            _ => letter.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        let before = text.chars().next_back().unwrap_or('}');
        match letter {
            '/' if token.len() > 1 => {}
            _ if letter.is_whitespace() => {
                if !" {};,:>".contains(before) {
                    text.push(' ');
                }
            }
            '{' | '}' | ';' | ',' | '>' => {
                text.truncate(text.trim_end_matches(' ').len());
                if letter == '}' {
                    text.truncate(text.trim_end_matches(';').len());
                }
                text.push(letter);
            }
            _ => text.push_str(token),
        }
    }
    text
}

/// Shortens markup: comments, line breaks with their indentation, and the quotes of values that are one word go.
pub(super) fn markup(source: &str) -> String {
    let mut text = String::new();
    let mut rest = source;
    while let Some((before, comment)) = rest.split_once("<!--") {
        text.push_str(before);
        rest = comment.split_once("-->").map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    let text: String = text.lines().map(str::trim).collect();
    // Every second part is quoted.
    let mut parts = text.split('"').peekable();
    let mut unquoted = String::new();
    while let Some(before) = parts.next() {
        unquoted.push_str(before);
        let Some(value) = parts.next() else { break };
        let is_word = value
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter));
        let ends = parts
            .peek()
            .is_some_and(|after| after.starts_with([' ', '>']));
        match before.ends_with('=') && is_word && ends && !value.is_empty() {
            true => unquoted.push_str(value),
            false => unquoted.push_str(&format!("\"{value}\"")),
        }
    }
    unquoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_loses_comments_and_space() {
        for (source, expected) in [
            ("// why\nconst a = b;  // what\n", "const a=b;"),
            ("if (a) {\n  b();\n}\nc();\n", "if(a){b()}c();"),
            ("const f = async () => {\n};\n", "const f=async()=>{};"),
            ("f([a, b,], { c, });\n", "f([a,b],{c});"),
            ("a = b + +c - -d;\n", "a=b+ +c- -d;"),
            ("return typeof a;\n", "return typeof a;"),
            ("f(a,\n  b)\n  .g();\n", "f(a,b).g();"),
            ("let a\nlet b\n", "let a\nlet b"),
            ("class A {\n  get b() {\n  }\n}\n", "class A{get b(){}}"),
        ] {
            assert_eq!(script(source, NAMES), expected, "{source}");
        }
    }

    #[test]
    fn what_a_script_quotes_stays() {
        for (source, expected) in [
            ("f('a  // b', \"c ' d\");", "f('a  // b',\"c ' d\");"),
            ("f('it\\'s  so');", "f('it\\'s  so');"),
            (
                "f(`a  ${ b + `c  ${ d }  e` }  f`);",
                "f(`a  ${b+`c  ${d}  e`}  f`);",
            ),
            ("f(`a ${ { b: 1 }.b }  c`);", "f(`a ${{b:1}.b}  c`);"),
            ("f(`\\`  ${a}`, 1);", "f(`\\`  ${a}`,1);"),
            ("f(/a  [/ ]  b/g, c / d / e);", "f(/a  [/ ]  b/g,c/d/e);"),
            ("return /'  /.test(a);", "return/'  /.test(a);"),
        ] {
            assert_eq!(script(source, NAMES), expected, "{source}");
        }
    }

    #[test]
    fn a_style_loses_comments_and_space() {
        for (source, expected) in [
            ("/* why */\na { b: c; d: e; }\n", "a{b:c;d:e}"),
            ("a > b, c :not(d) { }\n", "a>b,c :not(d){}"),
            (
                "a { margin: calc(1px - 2px) 0; }",
                "a{margin:calc(1px - 2px) 0}",
            ),
            (
                "@media (a: b) and (c: d) { e { f: g } }",
                "@media (a:b) and (c:d){e{f:g}}",
            ),
            ("a { content: \"; b\"; }", "a{content:\"; b\"}"),
        ] {
            assert_eq!(style(source), expected, "{source}");
        }
    }

    #[test]
    fn markup_loses_comments_line_breaks_and_quotes() {
        let source = "<p>\n  <!-- why -->\n  <b>a</b> <i>b</i>\n</p>\n";
        assert_eq!(markup(source), "<p><b>a</b> <i>b</i></p>");
        for (source, expected) in [
            (
                "<a b=\"c-1\" d=\"e f\" g=\"\">",
                "<a b=c-1 d=\"e f\" g=\"\">",
            ),
            // After a word without quotes, a slash would belong to it.
            (
                "<a href=\"/b\" c=\"{d}\"><e f=\"g\"/>",
                "<a href=\"/b\" c=\"{d}\"><e f=\"g\"/>",
            ),
        ] {
            assert_eq!(markup(source), expected);
        }
    }

    /// Stay, so that the tests are about all the rest.
    const NAMES: &[&str] = &["A", "a", "b", "f"];
}
