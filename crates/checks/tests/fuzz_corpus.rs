//! The corpus of the fuzzer, replayed without it, so that a fault that it found doesn't come back.

use std::{fs, path::Path};

use sockeye_fuzz_stories::{STORIES, Story};

#[test]
fn every_input_of_the_fuzz_corpus_ends_well() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for Story { name, tell } in STORIES {
        let folder = corpus.join(name);
        let mut inputs: Vec<_> = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.expect("an entry").path())
            .collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for input in inputs {
            let data = fs::read(&input).expect("a file");
            // A test's output is shown only if it fails: then the last line names the input.
            println!("{}", input.display());
            tell(&data);
        }
    }
}
