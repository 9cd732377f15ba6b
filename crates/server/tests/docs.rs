//! The README shows code that compiles, and links that lead somewhere.

mod support;

use std::fs;

use support::root;

/// The `rust` blocks of a page.
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
fn code_in_a_how_to_page_is_an_excerpt_of_an_example() {
    let excerpt = |text: &str| {
        let lines = text.lines().map(str::trim);
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    for (page, example) in [
        ("reconnect-without-losing-messages.md", "reconnect.rs"),
        ("keep-connections-alive.md", "heartbeat.rs"),
        ("origins.md", "origins.rs"),
    ] {
        let page = fs::read_to_string(root().join("docs/howto").join(page)).unwrap();
        let example = fs::read_to_string(root().join("examples").join(example)).unwrap();
        assert!(!blocks(&page).is_empty());
        for block in blocks(&page) {
            assert!(excerpt(&example).contains(&excerpt(&block)), "{block}");
        }
    }
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
fn links_of_how_to_pages_lead_somewhere() {
    let folder = root().join("docs/howto");
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let page = fs::read_to_string(&path).unwrap();
        let links = page.split("](").skip(1);
        for link in links.map(|rest| rest.split(')').next().unwrap()) {
            let file = link.split('#').next().unwrap();
            let is_there = link.contains("://") || folder.join(file).exists();
            assert!(is_there, "{} links to {link}", path.display());
        }
    }
}

#[test]
fn links_between_our_pages_lead_somewhere() {
    for name in [
        "README.md",
        "README.zh-CN.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "STYLE.md",
        "SECURITY.md",
    ] {
        let page = fs::read_to_string(root().join(name)).unwrap();
        for link in page
            .split("](")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap())
        {
            if !link.contains("://") {
                let file = link.split('#').next().unwrap();
                assert!(root().join(file).exists(), "{name} links to {link}");
            }
        }
    }
}

#[test]
fn code_in_the_tutorial_stands_in_the_chat() {
    let folder = root().join("crates/server/src/chat");
    let files: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
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
    for link in page.split("](").skip(1) {
        let file = link.split([')', '#']).next().unwrap();
        let path = root().join("docs/tutorial").join(file);
        assert!(path.exists(), "the tutorial links to {file}");
    }
}
