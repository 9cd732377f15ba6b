//! Imports between the modules of a crate: the modules of a folder form layers.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{File, Tree};

/// Complains of every import that is part of a cycle between two or more entries of one folder, except in the folders of
/// `tolerated`, and of every tolerated folder that has none. An entry is a module with all that is in it.
///
/// Code for tests or documentation alone doesn't count, and neither do lists of modules (`lib.rs`, `mod.rs`), whose
/// re-exports are followed to the module that defines the name.
pub fn import_cycles(tree: &Tree, tolerated: &[&str]) -> Vec<String> {
    let roots = tree
        .rust()
        .filter(|file| matches!(file.name(), "lib.rs" | "main.rs"))
        .map(File::folder)
        .filter(|folder| folder.ends_with("src"));
    let roots: BTreeSet<&str> = roots.collect();
    let mut complaints = Vec::new();
    let mut unneeded: BTreeSet<&str> = tolerated.iter().copied().collect();
    for root in roots {
        let modules = Modules::read(tree, root);
        for (folder, imports) in modules.imports() {
            let path = [root, &folder.join("/")].join("/");
            let path = path.trim_end_matches('/');
            let mut cycles = imports
                .iter()
                .filter(|((from, to), _)| reaches(&imports, to, from));
            if tolerated.contains(&path) {
                if cycles.next().is_some() {
                    unneeded.remove(path);
                }
                continue;
            }
            complaints.extend(cycles.map(|((from, to), file)| {
                format!("{path}: {from} imports {to}, which leads back to {from}, in {file}")
            }));
        }
    }
    complaints.extend(
        unneeded
            .iter()
            .map(|path| format!("{path}: cycles are tolerated here, and there are none")),
    );
    complaints
}

/// The imports between the entries of one folder, each with a file that has it.
type Imports = BTreeMap<(String, String), String>;

/// Returns whether following `imports` from `from` leads to `to`.
fn reaches(imports: &Imports, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut ahead = vec![from];
    while let Some(entry) = ahead.pop() {
        let next = imports.keys().filter(|(importer, _)| importer == entry);
        for (_, imported) in next {
            if imported == to {
                return true;
            }
            if seen.insert(imported) {
                ahead.push(imported);
            }
        }
    }
    false
}

/// The modules of one crate, by their paths below its root.
struct Modules<'a>(BTreeMap<Vec<String>, Module<'a>>);

struct Module<'a> {
    file: &'a File,
    /// What its `use` declarations name: the name in this module, and the path.
    uses: Vec<(String, Vec<String>)>,
    /// The paths in its code that begin with `crate` or `super`.
    paths: Vec<Vec<String>>,
}

impl<'a> Modules<'a> {
    fn read(tree: &'a Tree, root: &str) -> Self {
        let mut modules = BTreeMap::new();
        for file in tree.rust().filter(|file| !file.is_test()) {
            let Some(path) = file.path.strip_prefix(&format!("{root}/")) else {
                continue;
            };
            let path = path.trim_end_matches(".rs").split('/');
            let mut module: Vec<String> = path.map(str::to_owned).collect();
            if is_list(file) || file.name() == "main.rs" {
                module.pop();
            }
            modules.insert(module, Module::read(file));
        }
        Self(modules)
    }

    /// Returns the imports of each folder, named by its path of modules.
    fn imports(&self) -> BTreeMap<Vec<String>, Imports> {
        let mut folders = BTreeMap::<Vec<String>, Imports>::new();
        for (from, module) in self.0.iter().filter(|(_, module)| !is_list(module.file)) {
            let used = module.uses.iter().map(|(_, path)| path);
            for path in used.chain(&module.paths) {
                let Some(to) = self.resolve(from, path, RE_EXPORTS_MAX) else {
                    continue;
                };
                let common = from.iter().zip(&to).take_while(|(from, to)| from == to);
                let common = common.count();
                if let (Some(importer), Some(imported)) = (from.get(common), to.get(common)) {
                    let import = (importer.clone(), imported.clone());
                    let folder = folders.entry(from[..common].to_vec()).or_default();
                    folder
                        .entry(import)
                        .or_insert_with(|| module.file.path.clone());
                }
            }
        }
        folders
    }

    /// Returns the module that defines what `path` names in `module`; `None` if it is another crate's.
    fn resolve(
        &self,
        module: &[String],
        path: &[String],
        re_exports_max: u32,
    ) -> Option<Vec<String>> {
        let (first, mut rest) = path.split_first()?;
        let mut at = module.to_vec();
        match first.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => {
                at.pop();
            }
            name => {
                at.push(name.to_owned());
                if !self.0.contains_key(&at) {
                    return None;
                }
            }
        }
        while let Some((name, after)) = rest.split_first() {
            match name.as_str() {
                "super" => {
                    at.pop();
                }
                name => at.push(name.to_owned()),
            }
            if !self.0.contains_key(&at) {
                at.pop();
                let uses = &self.0.get(&at)?.uses;
                return match uses.iter().find(|(alias, _)| alias == name) {
                    Some((_, exported)) if re_exports_max > 0 => {
                        let exported = [exported, after].concat();
                        self.resolve(&at, &exported, re_exports_max - 1)
                    }
                    _ => Some(at),
                };
            }
            rest = after;
        }
        Some(at)
    }
}

/// How many re-exports a name may pass.
const RE_EXPORTS_MAX: u32 = 8;

/// Attributes of imports for tests or documentation alone.
const UNBUILT: [&str; 2] = ["#[cfg(test)]", "#[cfg(doc)]"];

/// Returns whether the file is a list of modules.
fn is_list(file: &File) -> bool {
    matches!(file.name(), "lib.rs" | "mod.rs")
}

impl<'a> Module<'a> {
    fn read(file: &'a File) -> Self {
        let lines = file.lines_without_tests().count();
        let code = file.code().take_while(|(number, _)| *number <= lines);
        let code: Vec<String> = code.map(|(_, code)| code).collect();
        let (mut uses, mut paths) = (Vec::new(), Vec::new());
        for statement in code.join("\n").split(';') {
            match used_tree(statement) {
                Some(_) if UNBUILT.iter().any(|only| statement.contains(only)) => {}
                Some(tree) => expand(tree, &[], &mut uses),
                None => paths.extend(paths_in(statement)),
            }
        }
        Self { file, uses, paths }
    }
}

/// Returns what a `use` declaration names, without `use`.
fn used_tree(statement: &str) -> Option<&str> {
    let (before, tree) = statement.rsplit_once("use ")?;
    let begins = before.is_empty() || before.ends_with([' ', '\n']);
    (begins && !tree.contains(['(', '='])).then(|| tree.trim())
}

/// Adds the paths of the `use` tree `tree`, each behind `prefix`.
fn expand(tree: &str, prefix: &[String], uses: &mut Vec<(String, Vec<String>)>) {
    let (path, group) = match tree.split_once('{') {
        Some((path, group)) => (path, group.strip_suffix('}')),
        None => (tree, None),
    };
    let (path, alias) = match path.split_once(" as ") {
        Some((path, alias)) => (path, Some(alias.trim())),
        None => (path, None),
    };
    let names = path.split("::").map(str::trim);
    let names = names.filter(|name| !name.is_empty() && *name != "self" || prefix.is_empty());
    let names = names.filter(|name| !name.is_empty()).map(str::to_owned);
    let path: Vec<String> = prefix.iter().cloned().chain(names).collect();
    match (group, path.last()) {
        (Some(group), _) => {
            for part in parts(group) {
                expand(part, &path, uses);
            }
        }
        (None, Some(last)) => uses.push((alias.unwrap_or(last).to_owned(), path.clone())),
        (None, None) => {}
    }
}

/// Splits what is between two braces at its commas, except those between inner braces.
fn parts(group: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    let parts = group.split(move |letter| {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

/// Returns the paths in `code` that begin with `crate` or `super`.
fn paths_in(code: &str) -> impl Iterator<Item = Vec<String>> {
    let words = code.split(|letter: char| !(letter.is_alphanumeric() || "_:".contains(letter)));
    let paths = words.filter(|word| word.starts_with("crate::") || word.starts_with("super::"));
    paths.map(|path| path.split("::").map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_that_import_each_other_are_found() {
        let tree = Tree::of([
            ("x/src/lib.rs", "mod a;\nmod b;\nmod c;"),
            (
                "x/src/a.rs",
                "use crate::{\n    c::C,\n    b::{self, B as Other},\n};",
            ),
            ("x/src/b.rs", "fn b() { super::a::A::new(); }"),
            (
                "x/src/c.rs",
                "// crate::a\nuse std::a;\nlet text = \"crate::a\";",
            ),
        ]);
        let found = import_cycles(&tree, &[]);
        let expected = [
            "x/src: a imports b, which leads back to a, in x/src/a.rs",
            "x/src: b imports a, which leads back to b, in x/src/b.rs",
        ];
        assert_eq!(found, expected);
        assert!(import_cycles(&tree, &["x/src"]).is_empty());
        let found = import_cycles(&tree, &["x/src", "y/src"]);
        let expected = ["y/src: cycles are tolerated here, and there are none"];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_cycle_of_three_through_re_exports_and_folders_is_found() {
        let tree = Tree::of([
            ("x/src/lib.rs", "mod a;\nmod b;\nmod c;\npub use a::A;"),
            ("x/src/a/mod.rs", "mod deep;\npub(crate) use deep::A;"),
            ("x/src/a/deep.rs", "use crate::b;"),
            ("x/src/b.rs", "pub(crate) use crate::c::C;"),
            ("x/src/c.rs", "use crate::A;"),
        ]);
        let found = import_cycles(&tree, &[]);
        assert_eq!(found.len(), 3, "{found:#?}");
        assert!(found[0].starts_with("x/src: a imports b"), "{found:#?}");
    }

    #[test]
    fn layers_tests_and_the_modules_of_a_file_are_no_cycle() {
        let tree = Tree::of([
            ("x/src/lib.rs", "mod a;\nmod b;"),
            (
                "x/src/a.rs",
                "mod inner;\nuse inner::Inner;\nuse crate::b::B;",
            ),
            ("x/src/a/inner.rs", "use super::A;\nuse crate::b::B;"),
            (
                "x/src/b.rs",
                "#[cfg(test)]\nuse crate::a::A;\n#[cfg(doc)]\nuse crate::a::A;\nstruct B;\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}",
            ),
        ]);
        assert!(import_cycles(&tree, &[]).is_empty());
    }
}
