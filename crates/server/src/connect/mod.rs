//! `sockeye connect`: a WebSocket client for the terminal, for pipes and for conformance runs.
//!
//! ```text
//!   terminal ──┐                              ┌──> screen (stdout: messages, stderr: the rest)
//!              ├──> Input ──> talk ──> Session │
//!   pipe ──────┘              <── WebSocket ───┘
//!   --echo: an endpoint that answers each message with itself, nothing in between
//! ```

mod args;
mod dial;
mod ending;
mod input;
mod screen;
mod talk;
mod terminal;

pub(crate) use args::{ConnectArgs, EXIT_CODES};

use std::process::ExitCode;

use crate::{
    config::{Filter, LogFormat},
    log,
};

/// Connects, talks, and tells by its exit code how it ended.
pub(crate) fn run(args: &ConnectArgs) -> ExitCode {
    if args.verbose > 1 {
        log::start(&Filter("sockeye=debug".to_owned()), LogFormat::Text);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("sockeye: cannot start: {error}");
            return ExitCode::from(ending::USAGE);
        }
    };
    let code = runtime.block_on(async {
        match args.echo {
            true => talk::echo(args).await,
            false => talk::talk(args).await,
        }
    });
    // A thread may still wait for a line of stdin; nobody waits for the thread.
    runtime.shutdown_background();
    code
}
