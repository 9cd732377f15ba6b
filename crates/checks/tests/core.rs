//! The instructions that the protocol core needs for short messages.
//!
//! They are the same on every processor: the messages are shorter than what wide registers are used for, and the C
//! library is told to use none. What depends on the processor, and what needs a clock, is in `perf.rs`.

use sockeye_checks::callgrind::{Core, Libraries};

#[test]
fn the_core_stays_within_its_instructions() {
    let core = Core::build(Libraries::Own);
    // Measured: 107, 137, 114, 169. Of these, 19 to 27 are what a payload costs that may be shared (`Text`, `Binary`). A tenth more, or less, is room for another compiler; what costs more has to say why.
    for (library, story, frames, instructions_max) in [
        ("sockeye", "binary-16", 16, 118),
        ("sockeye", "binary-1", 1, 151),
        ("sockeye", "text-16", 16, 125),
        ("sockeye-echo", "binary-16", 16, 186),
    ] {
        let Some(ours) = core.instructions(library, story, frames) else {
            return;
        };
        println!("{library} {story}: {ours} instructions per frame");
        assert!(ours <= instructions_max, "{library} {story}: {ours}");
    }
}
