//! The binary `sockeye`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sockeye_server::run(std::env::args_os())
}
