//! The protocol core without sockets: instructions by callgrind, and unmasking against memcpy.
//!
//! Counts don't wobble, so they are compared on any machine; what is timed are the best of thousands of
//! turns, taken alternately. The program that is counted is `benches/core`.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use sockeye_checks::need;

/// Other libraries, in `benches/core/src/peers.rs`. `yawc-codec` and `sockudo-ws` are decoders without a
/// stream, as ours is; the others have no such part to be driven alone.
const PEERS: [&str; 7] = [
    "fastwebsockets",
    "sockudo-ws",
    "tokio-websockets",
    "tungstenite",
    "wtx",
    "yawc",
    "yawc-codec",
];

/// Rounds of the two runs whose difference is the cost of the rounds, without what happens once.
const ROUNDS: [u64; 2] = [200, 700];

/// What unmasking must reach, as a share of memcpy's speed.
const UNMASK_SHARE_MIN: f64 = 0.9;

/// Another try, if something else had the machine all the time.
const UNMASK_TRIES: usize = 3;

#[test]
fn a_short_masked_frame_takes_half_the_instructions_of_the_best_peer() {
    if !is_counting_possible() {
        return;
    }
    for (story, frames) in [("binary-16", 16), ("text-16", 16), ("binary-1", 1)] {
        let ours = instructions("sockeye", story, frames);
        let peers = PEERS.map(|peer| (instructions(peer, story, frames), peer));
        println!("{story}, instructions per frame: sockeye {ours}, {peers:?}");
        let (best, peer) = peers.into_iter().min().expect("there are peers");
        assert!(2 * ours <= best, "{story}: {ours}, and {peer} takes {best}");
    }
}

#[test]
fn the_core_stays_within_its_instructions() {
    if !is_counting_possible() {
        return;
    }
    // Measured: 86, 119, 94, 1,288 (of which 870 are the UTF-8 check), 140; eight of each of the first three are
    // because a large message is looked for apart, so that it may lie where it is. A tenth more, or less, is room
    // for another compiler; what costs more has to say why.
    for (library, story, frames, instructions_max) in [
        ("sockeye", "binary-16", 16, 92),
        ("sockeye", "binary-1", 1, 127),
        ("sockeye", "text-16", 16, 98),
        ("sockeye", "text-1k", 1, 1_415),
        ("sockeye-echo", "binary-16", 16, 150),
    ] {
        let ours = instructions(library, story, frames);
        println!("{library} {story}: {ours} instructions per frame");
        assert!(ours <= instructions_max, "{library} {story}: {ours}");
    }
}

#[test]
fn unmasking_keeps_up_with_memcpy() {
    let mut seen = String::new();
    for _ in 0..UNMASK_TRIES {
        let output = Command::new(&*PROGRAM).arg("unmask").output();
        seen = String::from_utf8(output.expect("it runs").stdout).expect("text");
        println!("bytes, share of memcpy's speed:\n{seen}");
        let shares: Vec<f64> = seen
            .lines()
            .filter_map(|line| line.split_once(' ')?.1.parse().ok())
            .collect();
        assert_eq!(shares.len(), 2, "{seen}");
        if shares.iter().all(|share| *share >= UNMASK_SHARE_MIN) {
            return;
        }
    }
    panic!("unmasking is slower than {UNMASK_SHARE_MIN} of memcpy:\n{seen}");
}

/// `benches/core`, built as users would build the library.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = need::root().join("benches/core");
    let target = need::root().join("target/core");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--quiet", "--target-dir"])
        .arg(&target)
        .current_dir(folder)
        .status();
    assert!(status.expect("cargo runs").success(), "it does not build");
    target.join("release/core")
});

/// Whether there is a callgrind for this machine.
fn is_counting_possible() -> bool {
    cfg!(target_arch = "x86_64") && need::valgrind().is_some()
}

/// Instructions per frame.
fn instructions(library: &str, story: &str, frames: u64) -> u64 {
    let folder = tempfile::tempdir().expect("a folder for what is not looked at");
    let details = folder.path().join("callgrind.out");
    let [few, many] = ROUNDS.map(|rounds| {
        let output = Command::new("valgrind")
            .arg("--tool=callgrind")
            .arg(format!("--callgrind-out-file={}", details.display()))
            .arg(&*PROGRAM)
            .args([library, story, &rounds.to_string()])
            .stdin(Stdio::null())
            .output();
        let output = output.expect("valgrind runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        said.lines()
            .find_map(|line| {
                line.split_once("Collected : ")?
                    .1
                    .trim()
                    .parse::<u64>()
                    .ok()
            })
            .unwrap_or_else(|| panic!("no count in {said}"))
    });
    (many - few) / (ROUNDS[1] - ROUNDS[0]) / frames
}
