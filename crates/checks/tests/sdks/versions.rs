//! The page of SDKs names the versions that are tested.

use std::fs;

use sockeye_checks::need;

/// A line of the page, the file that pins the version, and what stands around it there.
const PINS: [(&str, &str, &str, &str); 7] = [
    (
        "`centrifuge`",
        "package-lock.json",
        "\"node_modules/centrifuge\": {\n      \"version\": \"",
        "\"",
    ),
    (
        "`cent.js`",
        "package-lock.json",
        "\"node_modules/cent.js\": {\n      \"version\": \"",
        "\"",
    ),
    (
        "`centrifuge-python`",
        "requirements.txt",
        "centrifuge-python==",
        "\n",
    ),
    ("`cent`", "requirements.txt", "cent==", "\n"),
    (
        "`centrifuge-go`",
        "go/go.mod",
        "github.com/centrifugal/centrifuge-go v",
        "\n",
    ),
    (
        "`centrifuge-java`",
        "java/pom.xml",
        "<artifactId>centrifuge-java</artifactId>\n      <version>",
        "<",
    ),
    (
        "`tokio-centrifuge`",
        "rust/Cargo.lock",
        "name = \"tokio-centrifuge\"\nversion = \"",
        "\"",
    ),
];

#[test]
fn the_page_of_sdks_names_the_versions_that_are_tested() {
    let page = fs::read_to_string(need::root().join("docs/reference/sdks.md")).unwrap();
    for (name, file, before, after) in PINS {
        let file = need::root().join("crates/checks/peers").join(file);
        let pinned = fs::read_to_string(&file).unwrap();
        let (_, rest) = pinned.split_once(before).expect(name);
        let (version, _) = rest.split_once(after).expect(name);
        let line = page
            .lines()
            .find(|line| line.contains(&format!("[{name}]")));
        let line = line.unwrap_or_else(|| panic!("{name} is not on the page"));
        assert!(
            line.contains(&format!("| {version} |")),
            "{line}: {version}"
        );
    }
}
