//! Makes scripts, styles and markup shorter, without what only their authors need: comments, indentation and other space.
//!
//! The sources are ours, so this knows what they use and no more: scripts end their statements with semicolons, and no
//! element is written whose space from a line break would be seen.

/// Shortens a script. What stands in strings, templates and regular expressions stays as it is.
pub(super) fn script(source: &str) -> String {
    let mut shortened = Shortened::default();
    let mut rest = source;
    // The braces that are open, and whether each belongs to a template: then the text of the template follows it.
    let mut braces: Vec<Brace> = Vec::new();
    while let Some(letter) = rest.chars().next() {
        let length = match letter {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '\'' | '"' => quoted(rest),
            '`' => template(&rest[1..]) + 1,
            '}' if braces.last() == Some(&Brace::Template) => template(&rest[1..]) + 1,
            '/' if shortened.expects_value() => regular_expression(rest),
            _ if is_word(letter) => rest
                .find(|letter: char| !is_word(letter))
                .unwrap_or(rest.len()),
            _ => letter.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        if token.starts_with("//") {
            continue;
        }
        if letter == '}' {
            braces.pop();
        }
        if letter == '{' {
            braces.push(Brace::Block);
        } else if token.ends_with("${") {
            braces.push(Brace::Template);
        }
        match letter.is_whitespace() {
            true => shortened.space(letter),
            false => shortened.token(token),
        }
    }
    shortened.text
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Brace {
    Block,
    /// `${` in a template.
    Template,
}

/// A script that grows by its tokens.
#[derive(Debug, Default)]
struct Shortened {
    text: String,
    /// The space since the last token: a line break, if there was one.
    pending: Option<char>,
}

impl Shortened {
    fn space(&mut self, letter: char) {
        if self.pending != Some('\n') {
            self.pending = Some(letter);
        }
    }

    fn token(&mut self, token: &str) {
        let before = self.text.chars().next_back().unwrap_or(';');
        let after = token.chars().next().unwrap_or(';');
        let space = self.pending.take();
        let would_join =
            is_word(before) && is_word(after) || before == after && matches!(after, '+' | '-');
        let ends_nothing = "{(,;[=+-*?:&|<>!.".contains(before) || "}).,?:]".contains(after);
        match space {
            Some(space) if would_join => self.text.push(space),
            // A statement without a semicolon may end here.
            Some('\n') if !ends_nothing => self.text.push('\n'),
            _ => {}
        }
        self.text.push_str(token);
    }

    /// Returns whether a slash begins a regular expression, and doesn't divide.
    fn expects_value(&self) -> bool {
        let before = self.text.chars().next_back().unwrap_or(';');
        "(,=:[!&|?{};>".contains(before) || self.text.ends_with("return")
    }
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

/// Shortens markup: comments, and line breaks with their indentation, go.
pub(super) fn markup(source: &str) -> String {
    let mut text = String::new();
    let mut rest = source;
    while let Some((before, comment)) = rest.split_once("<!--") {
        text.push_str(before);
        rest = comment.split_once("-->").map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text.lines().map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_loses_comments_and_space() {
        for (source, expected) in [
            ("// why\nconst a = 1;  // what\n", "const a=1;"),
            ("if (a) {\n  b();\n}\nc();\n", "if(a){b();}\nc();"),
            ("const f = async () => {\n};\n", "const f=async()=>{};"),
            ("a = b + +c - -d;\n", "a=b+ +c- -d;"),
            ("return typeof a;\n", "return typeof a;"),
            ("f(a,\n  b)\n  .g();\n", "f(a,b).g();"),
            ("let a\nlet b\n", "let a\nlet b"),
            ("class A {\n  get b() {\n  }\n}\n", "class A{get b(){}}"),
        ] {
            assert_eq!(script(source), expected, "{source}");
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
            assert_eq!(script(source), expected, "{source}");
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
    fn markup_loses_comments_and_line_breaks() {
        let source = "<p>\n  <!-- why -->\n  <b>a</b> <i>b</i>\n</p>\n";
        assert_eq!(markup(source), "<p><b>a</b> <i>b</i></p>");
    }
}
