//! Measurements on this machine: `make perf` prints them.
//!
//! Other runs ignore them, because they depend on the processor. Times are printed, and no test fails because of them.

use sockeye_checks::callgrind::{Core, Libraries};

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

#[test]
#[ignore = "figures of this machine: make perf"]
fn a_short_masked_frame_takes_half_the_instructions_of_the_best_peer() {
    let core = Core::build(Libraries::WithPeers);
    for (story, frames) in [("binary-16", 16), ("text-16", 16), ("binary-1", 1)] {
        let Some(ours) = core.instructions("sockeye", story, frames) else {
            return;
        };
        let peers = PEERS.map(|peer| (core.instructions(peer, story, frames), peer));
        println!("{story}, instructions per frame: sockeye {ours}, {peers:?}");
        let best = peers.iter().filter_map(|(count, _)| *count).min();
        assert!(2 * ours <= best.expect("there are peers"), "{story}");
    }
}

#[test]
#[ignore = "figures of this machine: make perf"]
fn a_text_of_a_kibibyte_is_counted() {
    let core = Core::build(Libraries::WithPeers);
    if let Some(ours) = core.instructions("sockeye", "text-1k", 1) {
        println!("text-1k: {ours} instructions per frame");
    }
}

#[test]
#[ignore = "figures of this machine: make perf"]
fn unmasking_is_timed_against_memcpy() {
    let core = Core::build(Libraries::WithPeers);
    let output = core.command().arg("unmask").output().expect("it runs");
    assert!(output.status.success(), "it fails");
    let seen = String::from_utf8(output.stdout).expect("text");
    println!("bytes, share of memcpy's speed:\n{seen}");
}
