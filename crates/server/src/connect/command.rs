//! Runs `sockeye connect`.

use std::process::ExitCode;

use super::{ConnectArgs, ending::Ending, stay, talk};
use crate::{
    config::{Filter, LogFormat},
    dial::warn_if_insecure,
    log::Log,
};

/// Connects, runs the conversation, and returns its exit code.
pub(crate) fn run(args: &ConnectArgs) -> ExitCode {
    if args.verbose > 1 {
        Log::start(&Filter("sockeye=debug".to_owned()), LogFormat::Text);
    }
    warn_if_insecure(&args.dial);
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return Ending::usage(format!("cannot start: {error}")).tell(args);
        }
    };
    let ending = runtime.block_on(async {
        match (args.echo, args.reconnect) {
            (true, _) => talk::echo(args).await,
            (_, true) => stay::stay(args).await,
            _ => talk::talk(args).await,
        }
    });
    // A thread may still wait for a line of stdin, so the runtime does not wait for its threads.
    runtime.shutdown_background();
    ending.tell(args)
}
