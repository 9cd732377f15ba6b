//! Modules: what they say about themselves, what may be in them, and whether anybody knows them.

use std::collections::BTreeSet;

use super::tree::{File, Tree};

/// Complains of Rust files that don't begin with module docs. The name `tests.rs` says enough.
pub fn missing_docs(tree: &Tree) -> Vec<String> {
    let silent = tree
        .rust()
        .filter(|file| file.name() != "tests.rs" && !begins_with_docs(&file.text));
    silent
        .map(|file| format!("{}: does not begin with module docs (`//!`)", file.path))
        .collect()
}

fn begins_with_docs(text: &str) -> bool {
    // An inner attribute may come first, so that it holds for the whole file.
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .find(|line| !line.starts_with("#!"))
        .is_some_and(|line| line.starts_with("//!"))
}

/// Complains of logic in `lib.rs` and `mod.rs`, which hold docs, `mod` and `use`. Tests are exempt: there `mod.rs` is the
/// only name that cargo doesn't take for a test of its own.
pub fn logic_in_lists(tree: &Tree, exceptions: &[&str]) -> Vec<String> {
    let mut complaints = Vec::new();
    let lists = tree
        .rust()
        .filter(|file| matches!(file.name(), "lib.rs" | "mod.rs"))
        .filter(|file| !file.is_test() && !exceptions.contains(&file.path.as_str()));
    for file in lists {
        for (number, code) in file.code() {
            if let Some(word) = code.split_whitespace().find(|word| LOGIC.contains(word)) {
                complaints.push(format!(
                    "{}:{number}: `{word}` in a list of modules",
                    file.path
                ));
            }
        }
    }
    for file in tree
        .rust()
        .filter(|file| file.path.ends_with("src/main.rs"))
    {
        let lines = file.text.lines().count();
        if lines > MAIN_LINES_MAX {
            complaints.push(format!(
                "{}: {lines} lines, at most {MAIN_LINES_MAX}",
                file.path
            ));
        }
    }
    complaints
}

/// Complains of Rust files that no module names, and of scripts and pages that no file names.
pub fn dead_files(tree: &Tree) -> Vec<String> {
    let mut alive = BTreeSet::new();
    let mut ahead: Vec<&File> = tree.rust().filter(|file| is_root(tree, file)).collect();
    while let Some(file) = ahead.pop() {
        if alive.insert(file.path.as_str()) {
            ahead.extend(children(tree, file));
        }
    }
    let dead = tree
        .rust()
        .filter(|file| !alive.contains(file.path.as_str()));
    let mut complaints: Vec<String> = dead
        .map(|file| format!("{}: no module names this file", file.path))
        .collect();
    let named = tree.files.iter().filter(|file| {
        NAMED.iter().any(|end| file.path.ends_with(end)) && file.path.contains("/checks/")
    });
    for file in named {
        let known = tree
            .files
            .iter()
            .any(|other| other.path != file.path && other.text.contains(file.name()));
        if !known {
            complaints.push(format!("{}: nobody names this file", file.path));
        }
    }
    complaints
}

/// Returns whether cargo starts from the file: by its place, or because a manifest names it.
fn is_root(tree: &Tree, file: &File) -> bool {
    let by_place = matches!(file.name(), "lib.rs" | "main.rs" | "build.rs")
        || ["tests", "benches", "examples", "bin"]
            .iter()
            .any(|folder| file.folder().ends_with(folder) && beside_manifest(tree, file.folder()));
    by_place || named_by_manifest(tree, file)
}

/// Returns whether `folder` is `tests`, `src/bin` and so on, directly in a crate.
fn beside_manifest(tree: &Tree, folder: &str) -> bool {
    let above = |path: &str| {
        path.rsplit_once('/')
            .map_or(String::new(), |(rest, _)| rest.to_owned())
    };
    let crate_folder = above(folder.strip_suffix("/bin").unwrap_or(folder));
    tree.file(&format!("{crate_folder}/Cargo.toml")).is_some()
        || (crate_folder.is_empty() && tree.file("Cargo.toml").is_some())
}

fn named_by_manifest(tree: &Tree, file: &File) -> bool {
    let manifests = tree
        .files
        .iter()
        .filter(|other| other.name() == "Cargo.toml");
    manifests.into_iter().any(|manifest| {
        let prefix = match manifest.folder() {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        let relative = file.path.strip_prefix(&prefix);
        relative.is_some_and(|path| manifest.text.contains(&format!("path = \"{path}\"")))
    })
}

/// Returns the files that `file` declares as modules.
fn children<'a>(tree: &'a Tree, file: &File) -> Vec<&'a File> {
    let folder = file.folder();
    let stem = file.name().trim_end_matches(".rs");
    // The modules of a crate's root and of `mod.rs` lie beside it, all others in a folder of its name.
    let is_list = matches!(stem, "lib" | "main" | "mod") || is_root(tree, file);
    let base = if is_list {
        folder.to_owned()
    } else {
        format!("{folder}/{stem}")
    };
    let mut paths = Vec::new();
    for line in file.text.lines() {
        let line = line.trim();
        let path = line
            .strip_prefix("#[path = \"")
            .and_then(|rest| rest.strip_suffix("\"]"));
        paths.extend(path.map(|path| format!("{folder}/{path}")));
        if let Some(name) = declared_module(line) {
            paths.push(format!("{base}/{name}.rs"));
            paths.push(format!("{base}/{name}/mod.rs"));
        }
    }
    paths.iter().filter_map(|path| tree.file(path)).collect()
}

fn declared_module(line: &str) -> Option<&str> {
    let (before, name) = line.strip_suffix(';')?.rsplit_once("mod ")?;
    let before = before.trim();
    (before.is_empty() || before == "pub" || before.starts_with("pub(")).then_some(name)
}

/// Words that begin something other than a list entry.
const LOGIC: [&str; 8] = [
    "fn",
    "impl",
    "struct",
    "enum",
    "trait",
    "macro_rules!",
    "const",
    "static",
];

/// Lines. `main` hands over to the library at once.
const MAIN_LINES_MAX: usize = 30;

/// Kinds of files in the checks that only work if something starts or loads them.
const NAMED: [&str; 5] = [".mjs", ".js", ".py", ".html", ".txt"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_module_docs_is_found() {
        let tree = Tree::of([
            ("a.rs", "//! Says it.\n"),
            ("b.rs", "#![no_std]\n\n//! Says it too.\n"),
            ("c.rs", "use x;\n//! Too late.\n"),
            ("d.rs", ""),
            ("e/tests.rs", "use super::*;"),
        ]);
        assert_eq!(missing_docs(&tree).len(), 2);
    }

    #[test]
    fn logic_in_a_list_of_modules_is_found() {
        let good = "//! fn docs.\nmod a;\npub use a::b; // struct\n";
        assert!(logic_in_lists(&Tree::of([("x/lib.rs", good)]), &[]).is_empty());
        let bad = Tree::of([
            ("x/lib.rs", "//! Docs.\npub fn a() {}\n"),
            ("y/mod.rs", "impl A {}"),
        ]);
        assert_eq!(logic_in_lists(&bad, &[]).len(), 2);
        let long = "//\n".repeat(MAIN_LINES_MAX + 1);
        assert_eq!(
            logic_in_lists(&Tree::of([("x/src/main.rs", &long)]), &[]).len(),
            1
        );
    }

    #[test]
    fn a_file_that_no_module_names_is_found() {
        let tree = Tree::of([
            ("c/Cargo.toml", "[[bin]]\npath = \"odd/start.rs\""),
            ("c/src/lib.rs", "mod a;\n#[cfg(test)]\nmod tests;"),
            ("c/src/a.rs", "pub(crate) mod b;"),
            ("c/src/a/b.rs", ""),
            ("c/src/tests.rs", ""),
            ("c/src/forgotten.rs", ""),
            ("c/odd/start.rs", "mod beside;"),
            ("c/odd/beside.rs", ""),
            ("c/tests/one.rs", ""),
            ("c/tests/e2e/main.rs", "mod part;"),
            ("c/tests/e2e/part.rs", ""),
            ("c/tests/e2e/left.rs", ""),
        ]);
        let complaints = dead_files(&tree);
        assert_eq!(complaints.len(), 2, "{complaints:#?}");
        assert!(complaints[0].starts_with("c/src/forgotten.rs"));
        assert!(complaints[1].starts_with("c/tests/e2e/left.rs"));
    }

    #[test]
    fn a_script_that_nobody_starts_is_found() {
        let tree = Tree::of([
            ("crates/checks/tests/a.rs", "node(\"used.mjs\")"),
            ("crates/checks/peers/used.mjs", ""),
            ("crates/checks/peers/left.py", "left.py"),
        ]);
        let complaints = dead_files(&tree);
        assert_eq!(complaints.len(), 2, "{complaints:#?}");
        assert!(complaints[1].starts_with("crates/checks/peers/left.py"));
    }
}
