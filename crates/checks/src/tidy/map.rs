//! The map in `ARCHITECTURE.md`: a newcomer believes it, so it has to be true.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{File, Tree};

/// Complains where the map and the tree differ.
///
/// The map is the first block of text in `ARCHITECTURE.md`. A line is one place or several (`decoder,
/// encoder`), then two spaces or more, then what is there; two spaces deeper is inside. A slash makes a
/// folder; what has none is a module of the crate above it.
///
/// What the map names exists, and of a crate whose modules it shows it shows all.
pub fn stale_map(tree: &Tree) -> Vec<String> {
    let Some(map) = tree.file(MAP) else {
        return vec![format!("{MAP}: there is no map")];
    };
    let places = places(&map.text);
    if places.is_empty() {
        return vec![format!("{MAP}: the map is empty")];
    }
    let mut complaints = Vec::new();
    let mut shown = BTreeMap::<&str, BTreeSet<&str>>::new();
    for place in &places {
        if !exists(tree, place) {
            complaints.push(format!("{MAP}: shows {place}, which is not there"));
        }
        if let Some((home, module)) = place.split_once("/src/") {
            shown
                .entry(home)
                .or_default()
                .insert(module.trim_end_matches('/'));
        }
    }
    let modules: BTreeSet<(String, String)> = tree.rust().filter_map(module_of).collect();
    for (home, module) in modules {
        let hidden = shown
            .get(home.as_str())
            .is_some_and(|shown| !shown.contains(module.as_str()));
        if hidden && !matches!(module.as_str(), "lib" | "main") {
            complaints.push(format!("{MAP}: does not show {module} of {home}"));
        }
    }
    complaints
}

/// Returns the paths that a map shows: `crates/proto/src/frame`, `crates/proto/src/handshake/`, `fuzz/`.
fn places(text: &str) -> Vec<String> {
    let block = text
        .lines()
        .skip_while(|line| !line.starts_with("```text"))
        .skip(1);
    let mut folders: Vec<String> = Vec::new();
    let mut places = Vec::new();
    for line in block.take_while(|line| !line.starts_with("```")) {
        let entry = line.trim_start();
        let depth = (line.len() - entry.len()) / INDENT;
        folders.truncate(depth);
        let names = entry.split("  ").next().unwrap_or_default();
        for name in names
            .split(", ")
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            places.push(place(&folders, name));
        }
        folders.push(names.to_owned());
    }
    places
}

fn place(folders: &[String], name: &str) -> String {
    match folders {
        [crates, home, inner @ ..] if crates == "crates/" => {
            format!("{crates}{home}src/{}{name}", inner.concat())
        }
        _ => format!("{}{name}", folders.concat()),
    }
}

fn exists(tree: &Tree, place: &str) -> bool {
    let is_folder = place.ends_with('/');
    let module = format!("{place}.rs");
    tree.files.iter().any(|file| {
        if is_folder {
            file.path.starts_with(place)
        } else {
            file.path == place || file.path == module
        }
    })
}

/// Returns the crate and the top-level module of a file: `crates/proto` and `handshake` for
/// `crates/proto/src/handshake/head.rs`.
fn module_of(file: &File) -> Option<(String, String)> {
    let (home, rest) = file.path.split_once("/src/")?;
    let first = rest.split('/').next()?;
    home.starts_with("crates/")
        .then(|| (home.to_owned(), first.trim_end_matches(".rs").to_owned()))
}

/// The way in for newcomers.
const MAP: &str = "ARCHITECTURE.md";

/// Spaces. One step deeper in the map.
const INDENT: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_read_by_its_indentation() {
        let map = "# Map\n```text\ncrates/\n  a/    crate-a   what, it is\n    b   two\n    f/\n      g/   three\n\
                   docs/x.md   page\nfuzz/, benches/\n```\n```text\nz/\n```\n";
        let expected = [
            "crates/",
            "crates/a/",
            "crates/a/src/b",
            "crates/a/src/f/",
            "crates/a/src/f/g/",
            "docs/x.md",
            "fuzz/",
            "benches/",
        ];
        assert_eq!(places(map), expected);
    }

    #[test]
    fn a_map_that_shows_too_much_or_too_little_is_found() {
        let map = "```text\ncrates/\n  a/   what\n    b, gone   two\n    f/\n  c/   modules not shown\n```\n";
        let tree = Tree::of([
            ("ARCHITECTURE.md", map),
            ("crates/a/src/lib.rs", ""),
            ("crates/a/src/b.rs", ""),
            ("crates/a/src/hidden.rs", ""),
            ("crates/a/src/f/d.rs", ""),
            ("crates/c/src/e.rs", ""),
        ]);
        let complaints = stale_map(&tree);
        assert_eq!(complaints.len(), 2, "{complaints:#?}");
        assert!(complaints[0].contains("gone") && complaints[1].contains("hidden"));
        assert_eq!(stale_map(&Tree::default()).len(), 1);
    }
}
