//! Log lines.

use super::tree::{File, Tree};

/// Complains of values that a log line shows by `Debug`. That form is for programmers: it shows `Some(…)` where a number is
/// meant, and text from outside as its type derives it.
pub fn debug_in_logs(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    let sources = tree.rust().filter(|file| !file.is_test());
    for file in sources {
        for (number, line) in lines_of_logs(file) {
            if shows_debug(line) {
                let complaint = "a log line shows a value by `Debug`";
                complaints.push(format!("{}:{number}: {complaint}", file.path));
            }
        }
    }
    complaints
}

/// Returns the lines of calls of log macros, with their numbers.
fn lines_of_logs(file: &File) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    // Parentheses of a call that are open.
    let mut depth = 0;
    for ((number, code), line) in file.code().zip(file.lines_without_tests()) {
        let mut rest = &*code;
        let mut is_of_log = depth > 0;
        if depth == 0 {
            let Some(begin) = MACROS.iter().find_map(|name| code.find(name)) else {
                continue;
            };
            rest = &code[begin..];
            is_of_log = true;
        }
        for letter in rest.chars() {
            match letter {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 && letter == ')' {
                break;
            }
        }
        if is_of_log {
            found.push((number, line));
        }
    }
    found
}

/// Returns whether `line` has `?field`, `field = ?value`, `{value:?}` or `field::debug(value)`. The operator `?` follows an
/// expression.
fn shows_debug(line: &str) -> bool {
    let sigil = line.match_indices('?').any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let behind = line[at + 1..].chars().next();
        before.is_none_or(|before| matches!(before, ' ' | '(' | ','))
            && behind.is_some_and(|behind| behind.is_alphabetic() || "_&*(".contains(behind))
    });
    sigil || line.contains(":?}") || line.contains(":#?}") || line.contains("field::debug")
}

const MACROS: [&str; 5] = ["trace!(", "debug!(", "info!(", "warn!(", "error!("];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_a_log_line_shows_by_debug_are_found() {
        let tree = Tree::of([
            (
                "a.rs",
                "tracing::debug!(?path, \"open\");\n\
                 warn!(\n    origin = ?origin,\n    host,\n    \"refused\"\n);\n\
                 info!(\"{addr:?} is here\");\n\
                 error!(a = field::debug(a), \"b\");",
            ),
            (
                "b.rs",
                "tracing::info!(%error, path, read(file)?, \"why?\");\n\
                 let text = format!(\"{name:?}\");\n\
                 debug_assert!(?x);\nlet y = x?;",
            ),
            ("tests/c.rs", "info!(?x);"),
        ]);
        let found = debug_in_logs(&tree);
        let lines: Vec<&str> = found.iter().map(|line| &line[..6]).collect();
        assert_eq!(lines, ["a.rs:1", "a.rs:3", "a.rs:7", "a.rs:8"]);
    }
}
