//! The binary `polling`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench_polling::run()
}
