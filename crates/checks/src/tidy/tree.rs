//! The files of a repository, as text.

use std::path::Path;
use std::process::Command;

/// All text files that belong to the repository, in order of their paths.
#[derive(Debug, Default)]
pub struct Tree {
    /// What git tracks or would track. Files that are not UTF-8 have no text.
    pub files: Vec<File>,
}

/// One file.
#[derive(Debug)]
pub struct File {
    /// From the root, with `/`.
    pub path: String,
    /// Empty for what is not text.
    pub text: String,
}

impl Tree {
    /// Reads a repository.
    ///
    /// # Panics
    /// If git cannot list its files.
    pub fn read(root: &Path) -> Self {
        let listing = ["ls-files", "--cached", "--others", "--exclude-standard"];
        let listed = Command::new("git")
            // In a container the repository often belongs to another user.
            .args(["-c", "safe.directory=*", "-C"])
            .arg(root)
            .args(listing)
            .output();
        let listed = listed.expect("git runs");
        assert!(
            listed.status.success(),
            "{}",
            String::from_utf8_lossy(&listed.stderr)
        );
        let mut files: Vec<File> = String::from_utf8_lossy(&listed.stdout)
            .lines()
            // A file that was removed and not yet committed is still listed.
            .filter(|path| root.join(path).is_file())
            .map(|path| File {
                path: path.to_owned(),
                text: std::fs::read_to_string(root.join(path)).unwrap_or_default(),
            })
            .collect();
        assert!(!files.is_empty(), "an empty repository proves nothing");
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Self { files }
    }

    /// A tree for a rule's own tests.
    #[cfg(test)]
    pub(crate) fn of<const N: usize>(files: [(&str, &str); N]) -> Self {
        let files = files.map(|(path, text)| File {
            path: path.to_owned(),
            text: text.to_owned(),
        });
        Self {
            files: files.into(),
        }
    }

    /// Returns all Rust files.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// Returns the file at a path.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

impl File {
    /// Returns the last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Returns the path of its folder, without a slash at its end.
    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Returns whether all of it is tests.
    pub fn is_test(&self) -> bool {
        let in_tests = self.path.starts_with("tests/") || self.path.contains("/tests/");
        in_tests || self.name() == "tests.rs"
    }

    /// Returns its lines before the unit tests, which are the last thing in a file.
    pub fn lines_without_tests(&self) -> impl Iterator<Item = &str> {
        let lines: Vec<&str> = self.text.lines().collect();
        let end = lines
            .windows(2)
            .position(|pair| {
                pair[0].trim() == "#[cfg(test)]" && pair[1].trim_start().starts_with("mod ")
            })
            .unwrap_or(lines.len());
        lines.into_iter().take(end)
    }

    /// Returns its lines with number, comments and the contents of one-line strings left out. Good enough to
    /// look for words of code; a string that goes over several lines counts as code.
    pub fn code(&self) -> impl Iterator<Item = (usize, String)> {
        let numbered = self.text.lines().enumerate();
        numbered.map(|(index, line)| (index + 1, code_of(line)))
    }
}

fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut letters = line.chars().peekable();
    let mut in_string = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if in_string => {
                letters.next();
            }
            '"' => {
                in_string = !in_string;
                code.push('"');
            }
            '/' if !in_string && letters.peek() == Some(&'/') => break,
            _ if !in_string => code.push(letter),
            _ => {}
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_what_is_neither_comment_nor_string() {
        assert_eq!(
            code_of(r#"let a = "un\"safe"; // unsafe"#),
            r#"let a = ""; "#
        );
        assert_eq!(code_of("/// unsafe"), "");
    }

    #[test]
    fn unit_tests_are_left_out() {
        let tree = Tree::of([(
            "a.rs",
            "one\n#[cfg(test)]\nuse x;\n#[cfg(test)]\nmod tests {\n}\n",
        )]);
        assert_eq!(tree.files[0].lines_without_tests().count(), 3);
    }
}
