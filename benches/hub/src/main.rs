//! The binary `hub`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench_hub::run()
}
