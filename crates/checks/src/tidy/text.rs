//! Texts that may be nowhere, or only in one place.

use super::tree::Tree;

/// Complains of `unsafe` outside the one file for it, where it stands beside its safe twin.
pub fn unsafe_code(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in tree.rust().filter(|file| file.path != UNSAFE_HOME) {
        for (number, code) in file.code() {
            let mut words = code.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
            if words.any(|word| word == "unsafe") {
                complaints.push(format!(
                    "{}:{number}: `unsafe` outside {UNSAFE_HOME}",
                    file.path
                ));
            }
        }
    }
    complaints
}

/// Complains of paths of one machine and addresses of one registry: the repository works anywhere.
pub fn machine_paths(tree: &Tree) -> Vec<String> {
    // In pieces, so that this file doesn't contain them.
    let banned = [
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/wo", "rk/"),
        concat!("/Use", "rs/"),
        concat!("pythonhos", "ted.org"),
        concat!("registry.npm", "js.org"),
        concat!("index.crat", "es.io"),
        concat!("static.crat", "es.io"),
        concat!("deb.debi", "an.org"),
        concat!("artifac", "tory"),
    ];
    let mut complaints = Vec::new();
    for file in &tree.files {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(word) = banned.iter().find(|word| line.contains(**word)) {
                complaints.push(format!("{}:{}: {word}", file.path, index + 1));
            }
        }
    }
    complaints
}

/// A test file that may let real time pass, and why.
#[derive(Debug)]
pub struct RealTime {
    /// The file.
    pub path: &'static str,
    /// Why no event and no clock of the test's own will do.
    pub reason: &'static str,
}

/// Returns the places where a test waits for luck: it sleeps, parks with a timeout, or yields a fixed number of times.
///
/// Allowed are tests on tokio's paused clock, where a sleep moves the clock and yields let every task run until it
/// waits, and the files in `allowed`. An entry whose file has no such wait is a complaint too.
pub fn sleeping_tests(tree: &Tree, allowed: &[RealTime]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut used = Vec::new();
    for file in tree.rust() {
        let without_tests = file.lines_without_tests().count();
        let first = if file.is_test() { 0 } else { without_tests };
        let code: Vec<(usize, String)> = file.code().skip(first).collect();
        let has_paused_clock = code.iter().any(|(_, line)| line.contains("start_paused"));
        for (index, (number, line)) in code.iter().enumerate() {
            let waits = match has_paused_clock {
                true => line.contains("thread::sleep"),
                false => {
                    WAITS.iter().any(|wait| names(line, wait))
                        || line.contains("yield_now") && is_counted(&code[..=index])
                }
            };
            if !waits {
                continue;
            }
            match allowed.iter().find(|allowed| allowed.path == file.path) {
                Some(allowed) => used.push(allowed.path),
                None => complaints.push(format!("{}:{number}: a test waits for luck", file.path)),
            }
        }
    }
    let unused = allowed
        .iter()
        .filter(|allowed| !used.contains(&allowed.path));
    complaints.extend(unused.map(|unused| format!("{}: no wait in real time", unused.path)));
    complaints
}

/// Returns whether the last of these lines is the body of a loop with a fixed number of rounds.
fn is_counted(lines: &[(usize, String)]) -> bool {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let Some(((_, last), before)) = lines.split_last() else {
        return false;
    };
    let header = before
        .iter()
        .rev()
        .map(|(_, line)| line)
        .find(|line| !line.trim().is_empty() && indent(line) < indent(last));
    header.is_some_and(|line| {
        let range = line.trim_start().strip_prefix("for _ in 0..");
        range.is_some_and(|end| end.starts_with(|letter: char| letter.is_ascii_digit()))
    })
}

/// Returns whether a line names a function, or a path that ends in it.
fn names(line: &str, function: &str) -> bool {
    line.match_indices(function).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

/// Calls that let real time pass, of std and of tokio.
const WAITS: [&str; 4] = ["thread::sleep", "sleep(", "sleep_until(", "park_timeout"];

/// The one file for it.
const UNSAFE_HOME: &str = "crates/proto/src/mask.rs";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_outside_its_home_is_found() {
        let tree = Tree::of([
            (UNSAFE_HOME, "unsafe {}"),
            (
                "a.rs",
                "#![deny(unsafe_code)]\n// unsafe\nlet a = \"unsafe\";\nlet b = unsafe { c };",
            ),
        ]);
        assert_eq!(unsafe_code(&tree).len(), 1);
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let tree = Tree::of([
            ("a.md", concat!("see /ho", "me/me/notes")),
            ("b.md", "see docs/home"),
        ]);
        assert_eq!(machine_paths(&tree).len(), 1);
    }

    #[test]
    fn sleeping_tests_are_found() {
        let tree = Tree::of([
            (
                "src/a.rs",
                "thread::sleep(x);\n#[cfg(test)]\nmod tests {\n thread::sleep(y);\n}",
            ),
            ("tests/b.rs", "std::thread::sleep(z);"),
        ]);
        assert_eq!(sleeping_tests(&tree, &[]).len(), 2);
    }

    #[test]
    fn each_way_to_wait_for_luck_is_found() {
        for wait in [
            "time::sleep(x).await;",
            "sleep_until(x).await;",
            "thread::park_timeout(x);",
            "for _ in 0..100 {\n    yield_now().await;\n}",
        ] {
            let tree = Tree::of([("tests/a.rs", wait)]);
            assert_eq!(sleeping_tests(&tree, &[]).len(), 1, "{wait}");
            let paused = format!("#[tokio::test(start_paused = true)]\n{wait}");
            let tree = Tree::of([("tests/a.rs", &paused)]);
            assert!(sleeping_tests(&tree, &[]).is_empty(), "{wait}");
        }
        let with_limit = "soon(async {\n    while x() {\n        yield_now().await;\n    }\n})";
        let tree = Tree::of([("tests/a.rs", with_limit)]);
        assert!(sleeping_tests(&tree, &[]).is_empty());
    }

    #[test]
    fn a_listed_file_may_wait_and_must() {
        let tree = Tree::of([("tests/a.rs", "sleep(x).await;"), ("tests/b.rs", "x();")]);
        let listed = |path| RealTime { path, reason: "" };
        assert!(sleeping_tests(&tree, &[listed("tests/a.rs")]).is_empty());
        let stale = [listed("tests/a.rs"), listed("tests/b.rs")];
        assert_eq!(sleeping_tests(&tree, &stale).len(), 1);
    }
}
