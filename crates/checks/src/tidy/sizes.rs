//! Sizes: a file can be read in one go.

use super::tree::Tree;

/// A file that may be longer, with the reason.
#[derive(Debug)]
pub struct Exception {
    /// The file.
    pub path: &'static str,
    /// Its own limit in lines.
    pub lines_max: usize,
    /// Why it isn't cut.
    pub reason: &'static str,
}

/// Complains of source files that are longer than the limit without their tests, except `exceptions`. An exception that
/// is no longer needed is a complaint too.
pub fn long_files(tree: &Tree, exceptions: &[Exception]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in tree.rust() {
        let exception = exceptions
            .iter()
            .find(|exception| exception.path == file.path);
        let (lines, normal) = if file.is_test() {
            (file.text.lines().count(), TEST_LINES_MAX)
        } else {
            (file.lines_without_tests().count(), LINES_MAX)
        };
        let limit = exception.map_or(normal, |exception| exception.lines_max);
        if lines > limit {
            complaints.push(format!("{}: {lines} lines, at most {limit}", file.path));
        }
        if exception.is_some() && lines <= normal {
            complaints.push(format!(
                "{}: needs no exception, it has {lines} lines",
                file.path
            ));
        }
    }
    for exception in exceptions {
        if tree.file(exception.path).is_none() {
            complaints.push(format!("{}: an exception for no file", exception.path));
        }
    }
    complaints
}

/// Lines. Twelve screens, which can be read in one go.
const LINES_MAX: usize = 600;

/// Lines. Tests are read one at a time, so a file of them may be longer.
const TEST_LINES_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_are_found_and_exceptions_are_held_to() {
        let long = "//\n".repeat(LINES_MAX + 1);
        let tree = Tree::of([
            ("long.rs", &long),
            ("tests/long.rs", &long),
            ("short.rs", ""),
        ]);
        assert_eq!(long_files(&tree, &[]).len(), 1);
        let exception = |path, lines_max| Exception {
            path,
            lines_max,
            reason: "",
        };
        assert!(long_files(&tree, &[exception("long.rs", 700)]).is_empty());
        assert_eq!(long_files(&tree, &[exception("long.rs", 600)]).len(), 1);
        let stale = [
            exception("long.rs", 700),
            exception("short.rs", 700),
            exception("no.rs", 1),
        ];
        assert_eq!(long_files(&tree, &stale).len(), 2);
    }
}
