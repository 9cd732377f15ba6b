//! What must not be written anywhere, or only in one place.

use super::tree::Tree;

/// `unsafe` lives in one file, beside its slow twin.
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

/// The repository works anywhere: no path of one machine, no address of one registry.
pub fn machine_paths(tree: &Tree) -> Vec<String> {
    // In pieces, or this file would be the first offender.
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

/// Nobody sleeps in tests: a test waits for something, or moves the clock itself.
pub fn sleeping_tests(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in tree.rust() {
        let without_tests = file.lines_without_tests().count();
        let first = if file.is_test() { 0 } else { without_tests };
        for (number, code) in file.code().skip(first) {
            if code.contains("thread::sleep") {
                complaints.push(format!("{}:{number}: a test sleeps", file.path));
            }
        }
    }
    complaints
}

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
        assert_eq!(sleeping_tests(&tree).len(), 2);
    }
}
