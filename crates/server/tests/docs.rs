//! The README shows code that compiles, and links that lead somewhere.

mod support;

use std::{fs, path::PathBuf};

use support::root;

/// Returns the `rust` blocks of a page.
fn blocks(page: &str) -> Vec<String> {
    page.split("```rust\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn code_in_the_readmes_is_an_example_that_compiles() {
    let examples: Vec<String> = fs::read_dir(root().join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let code = fs::read_to_string(path).unwrap();
            // Without the comment that tells the command.
            let lines = code
                .lines()
                .skip_while(|line| line.starts_with("//!") || line.is_empty());
            lines.map(|line| format!("{line}\n")).collect()
        })
        .collect();
    for name in ["README.md", "README.zh-CN.md"] {
        let page = fs::read_to_string(root().join(name)).unwrap();
        let blocks = blocks(&page);
        assert_eq!(blocks.len(), 2, "{name}");
        for block in blocks {
            assert!(
                examples.contains(&block),
                "{name} shows code that is no file in examples/:\n{block}"
            );
        }
    }
}

#[test]
fn code_in_a_how_to_page_is_an_excerpt_of_an_example_that_it_names() {
    let excerpt = |text: &str| {
        let lines = text.lines().map(str::trim);
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let mut pages_with_code = 0;
    for path in files_below("docs/howto", "md") {
        let page = fs::read_to_string(&path).unwrap();
        let examples: Vec<String> = page
            .split("](../../examples/")
            .skip(1)
            .filter_map(|rest| rest.split_once(".rs)"))
            .map(|(name, _)| root().join(format!("examples/{name}.rs")))
            .map(|example| excerpt(&fs::read_to_string(example).unwrap()))
            .collect();
        for block in blocks(&page) {
            assert!(
                examples
                    .iter()
                    .any(|example| example.contains(&excerpt(&block))),
                "{} shows code that is in no example that it names:\n{block}",
                path.display()
            );
        }
        pages_with_code += usize::from(page.contains("```rust\n"));
    }
    assert!(pages_with_code >= 5, "{pages_with_code}");
}

#[test]
fn every_example_begins_with_its_command_and_is_built() {
    let manifest = fs::read_to_string(root().join("examples/Cargo.toml")).unwrap();
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        let code = fs::read_to_string(&path).unwrap();
        let command = format!("//! cargo run -p sockeye-examples --example {name}\n");
        assert!(code.starts_with(&command), "{name}");
        assert!(
            manifest.contains(&format!("path = \"{name}.rs\"")),
            "{name}"
        );
    }
}

#[test]
fn links_between_our_pages_lead_somewhere() {
    let mut pages = files_below("docs", "md");
    for entry in fs::read_dir(root()).unwrap() {
        pages.push(entry.unwrap().path());
    }
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    assert!(pages.len() > 15, "{pages:?}");
    for path in pages {
        let page = fs::read_to_string(&path).unwrap();
        let links = page.split("](").skip(1);
        for link in links.map(|rest| rest.split(')').next().unwrap()) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            if link.contains("://") {
                continue;
            }
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{} links to {link}", path.display());
            if !heading.is_empty() {
                let headings = headings(&fs::read_to_string(&target).unwrap());
                let place = path.display();
                assert!(
                    headings.iter().any(|one| one == heading),
                    "{place} links to {link}: {headings:?}"
                );
            }
        }
    }
}

/// Returns the anchors of a page's headings, as the hosts of repositories make them.
fn headings(page: &str) -> Vec<String> {
    let lines = page.lines().filter_map(|line| line.strip_prefix('#'));
    let texts = lines.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    texts
        .map(|text| {
            let kept = text.chars().filter(|&letter| {
                letter.is_alphanumeric() || letter == ' ' || letter == '-' || letter == '_'
            });
            kept.map(|letter| if letter == ' ' { '-' } else { letter })
                .collect()
        })
        .collect()
}

/// Returns all files of a folder and the folders in it that end in `.extension`.
fn files_below(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut folders = vec![root().join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|one| one == extension) {
                files.push(path);
            }
        }
    }
    files
}

#[test]
fn code_in_the_tutorial_stands_in_the_chat() {
    let source = root().join("crates/server/src");
    let folders = [source.join("chat"), source.join("chat/processor")];
    let in_folders = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap());
    let in_folders = in_folders.map(|entry| entry.unwrap().path());
    let files: Vec<String> = in_folders
        .filter(|path| path.is_file())
        .chain([source.join("event.rs")])
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let page = fs::read_to_string(root().join("docs/tutorial/chat.md")).unwrap();
    let blocks = blocks(&page);
    assert!(!blocks.is_empty());
    for block in blocks {
        assert!(
            files.iter().any(|file| file.contains(&block)),
            "the tutorial shows code that is not there:\n{block}"
        );
    }
}

/// The crates that are published, and where they are.
const PUBLISHED: &[&str] = &["proto", "sockeye", "hub", "server"];

#[test]
fn every_published_crate_describes_itself_to_registries() {
    for name in PUBLISHED {
        let folder = root().join("crates").join(name);
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let package = manifest["package"].as_table().unwrap();
        let texts = |key: &str| -> Vec<String> {
            let list = package[key].as_array().unwrap();
            let texts = list.iter().map(|one| one.as_str().unwrap().to_owned());
            texts.collect()
        };
        assert!(
            package["description"].as_str().unwrap().len() > 50,
            "{name}"
        );
        let readme = folder.join(package["readme"].as_str().unwrap());
        assert!(readme.exists(), "{name}: {}", readme.display());
        // What crates.io accepts.
        let keywords = texts("keywords");
        assert!((1..=5).contains(&keywords.len()), "{name}: {keywords:?}");
        for keyword in keywords {
            let is_allowed = keyword.len() <= 20
                && keyword.starts_with(|first: char| first.is_ascii_alphanumeric())
                && (keyword.chars()).all(|one| one.is_ascii_alphanumeric() || "_-+".contains(one));
            assert!(is_allowed, "{name}: {keyword}");
        }
        assert!((1..=5).contains(&texts("categories").len()), "{name}");
        assert!(package["metadata"]["docs"].get("rs").is_some(), "{name}");
    }
}

#[test]
fn the_readme_of_the_protocol_shows_the_example_of_its_documentation() {
    let folder = root().join("crates/proto");
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let documentation = fs::read_to_string(folder.join("src/lib.rs")).unwrap();
    let documentation: String = documentation
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect();
    let blocks = blocks(&readme);
    assert!(!blocks.is_empty());
    for block in blocks {
        assert!(documentation.contains(&block), "{block}");
    }
}
