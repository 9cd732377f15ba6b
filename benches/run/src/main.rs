//! `run`: runs the benchmarks.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench_run::run()
}
