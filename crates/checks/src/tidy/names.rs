//! Names: of files, of modules, of methods.

use super::tree::Tree;

/// Complains of names that don't say what is in a file, such as `utils`.
pub fn bad_names(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in &tree.files {
        let bad = file
            .path
            .split('/')
            .find(|part| is_bad(part.split('.').next().unwrap_or(part)));
        if let Some(part) = bad {
            complaints.push(format!("{}: `{part}` says nothing", file.path));
        }
    }
    for file in tree.rust() {
        for (number, code) in file.code() {
            let words: Vec<&str> = code.split_whitespace().collect();
            let module = words
                .windows(2)
                .find(|pair| pair[0] == "mod")
                .map(|pair| pair[1]);
            let name = module.map(|name| name.trim_end_matches([';', '{']));
            if let Some(name) = name.filter(|name| is_bad(name)) {
                complaints.push(format!("{}:{number}: `mod {name}` says nothing", file.path));
            }
        }
    }
    complaints
}

/// Complains of methods that begin with `get_`: a query is a noun, `role()`.
pub fn getters(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in tree.rust() {
        for (number, code) in file.code() {
            if code.contains("fn get_") {
                complaints.push(format!(
                    "{}:{number}: a method's name begins with `get_`",
                    file.path
                ));
            }
        }
    }
    complaints
}

fn is_bad(name: &str) -> bool {
    BANNED.contains(&name)
}

const BANNED: [&str; 8] = [
    "utils",
    "util",
    "utilities",
    "helpers",
    "helper",
    "common",
    "misc",
    "miscellaneous",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_say_nothing_are_found() {
        let tree = Tree::of([
            ("src/helpers.rs", ""),
            ("common/a.rs", "mod commonplace;"),
            ("b.rs", "pub mod misc {\n}\n// mod util;"),
        ]);
        assert_eq!(bad_names(&tree).len(), 3);
    }

    #[test]
    fn getters_are_found() {
        let tree = Tree::of([(
            "a.rs",
            "fn get_a() {}\nfn target() {}\nlet x = map.get_mut(k);",
        )]);
        assert_eq!(getters(&tree).len(), 1);
    }
}
