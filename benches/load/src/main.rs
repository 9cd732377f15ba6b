//! `load`: puts load on one server, checks every answer, prints one line of JSON.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench_load::run()
}
