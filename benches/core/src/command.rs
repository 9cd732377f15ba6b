//! The command line.

use std::process::ExitCode;

#[cfg(feature = "peers")]
use crate::peers;
use crate::{
    large, sockeye,
    story::{self, Story},
    unmask,
};

/// Does what the command line says.
pub(crate) fn run() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (library, story, rounds) = (arguments.next(), arguments.next(), arguments.next());
    let library = library.unwrap_or_default();
    if library == "unmask" {
        unmask::measure();
        return ExitCode::SUCCESS;
    }
    if library == "large" {
        large::measure();
        return ExitCode::SUCCESS;
    }
    let story = story.and_then(|name| Story::named(&name));
    let rounds = rounds.and_then(|rounds| rounds.parse().ok());
    let (Some(story), Some(rounds)) = (story, rounds) else {
        eprintln!("usage: core LIBRARY STORY ROUNDS | core unmask | core large");
        eprintln!("libraries: sockeye sockeye-echo {}", peer_names().join(" "));
        eprintln!("stories: {}", story::NAMES.join(" "));
        return ExitCode::from(2);
    };
    let read = match library.as_str() {
        "sockeye" => sockeye::receive(&story, rounds),
        "sockeye-echo" => sockeye::echo(&story, rounds),
        peer => receive_with(peer, &story, rounds),
    };
    assert_eq!(read, story.payload_bytes() * rounds, "all was read");
    ExitCode::SUCCESS
}

#[cfg(feature = "peers")]
use peers::receive as receive_with;

#[cfg(feature = "peers")]
fn peer_names() -> &'static [&'static str] {
    &peers::NAMES
}

#[cfg(not(feature = "peers"))]
fn receive_with(peer: &str, _story: &Story, _rounds: usize) -> usize {
    panic!("{peer}: this program was built without the feature `peers`")
}

#[cfg(not(feature = "peers"))]
fn peer_names() -> &'static [&'static str] {
    &[]
}
