//! Reads masked frames from memory with one library, as often as asked, and nothing else.
//!
//! What it is: something for callgrind to count, and for a clock (`unmask`, `large`).
//!
//! What it is not: a benchmark of sockets. Bytes come from a stream in memory that is ready at once and
//! gives as much as there is room for, one buffer after the other, as a socket under load would. A library
//! that can be given bytes without a stream is given bytes, copied from memory once, which is what a
//! socket does. All of them are servers with their default checks.

mod command;
mod large;
// The file itself, because it is nobody's interface.
#[path = "../../../crates/proto/src/mask.rs"]
#[expect(dead_code, reason = "only `mask` is timed")]
mod mask;
#[cfg(feature = "peers")]
mod peers;
mod sockeye;
mod story;
#[cfg(feature = "peers")]
mod stream;
mod unmask;

fn main() -> std::process::ExitCode {
    command::run()
}
