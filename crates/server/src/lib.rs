//! The binary `sockeye`.
//!
//! What it is:
//! - `sockeye serve`: the hub (channels for browsers and apps), echo endpoints, a broadcast room, a welcome page, an API for
//!   back ends;
//! - `sockeye connect`: a WebSocket client for the terminal and for pipes;
//! - `sockeye bench`: a load generator that measures any WebSocket server;
//! - `sockeye config`: the configuration, checked and explained;
//! - `sockeye token`: tokens of clients, made and shown;
//! - `sockeye log`: the log of channels, checked, repaired or printed;
//! - `sockeye completions` and `sockeye man`: shell completions and manual pages.
//!
//! What it is not:
//! - a library, but for [`transport`]: that is the crate `sockeye`.
//!
//! ```text
//!   flags, SOCKEYE_…, sockeye.toml ──> cli ──> config ──┬──> app ──> sockeye::Server ──┬── echo
//!                                                       │     └── log, signal          ├── room
//!                                                       └──> connect, bench ──> dial   └── welcome, health, api
//! ```

mod activation;
mod address_rates;
mod api;
mod app;
mod banner;
mod bench;
mod certificate;
mod channel_log;
mod chat;
mod cli;
mod completions;
mod config;
mod connect;
mod connection_log;
mod data;
mod dial;
mod echo;
mod event;
mod hsts;
mod http_client;
mod hub;
mod identity;
mod line_limit;
mod listen;
mod log;
mod login;
mod man;
mod memory_relief;
mod metrics;
mod not_found;
mod notify;
mod page;
mod presence;
mod qr_code;
mod query;
mod readiness;
mod received;
mod reload;
mod room;
mod signal;
mod socketio;
mod sockjs;
mod token;
pub mod transport;
mod tty;
mod unix_time;
mod welcome;

use std::{ffi::OsString, process::ExitCode};

use cli::{CliError, Order};
use log::Notices;

/// Runs the command in `args`, which begin with the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let notices = Notices(log::format_asked_for(&args));
    match cli::parse(args.iter().cloned()) {
        Ok(Order::Serve(loaded)) => app::serve(loaded, args),
        Ok(Order::Connect(args)) => connect::run(&args),
        Ok(Order::Bench(args)) => bench::run(&args),
        Ok(Order::ConfigCheck(loaded)) => match certificate::read(&loaded.config) {
            Ok(_) => {
                for warning in config::warnings(&loaded.config) {
                    notices.warn(&warning);
                }
                print(config::checked(&loaded).as_bytes())
            }
            Err(message) => fail(notices, &message),
        },
        Ok(Order::ConfigDefault) => print(config::defaults().as_bytes()),
        Ok(Order::ConfigReference) => print(config::reference().as_bytes()),
        Ok(Order::ChannelLog(command)) => channel_log::run(&command, notices),
        Ok(Order::Token(command)) => token::run(&command, notices),
        Ok(Order::ConfigImport(args)) => config::import(&args, notices),
        Ok(Order::Completions(args)) => print(&completions::script(args.shell, cli::command())),
        Ok(Order::Man(args)) => man::run(&args, cli::command(), notices),
        Err(CliError::Usage(error)) => cli::explain(&error, notices),
        Err(CliError::Config(errors)) => {
            let errors = errors.0.iter().map(ToString::to_string);
            errors.fold(ExitCode::SUCCESS, |_, error| fail(notices, &error))
        }
    }
}

fn fail(notices: Notices, message: &str) -> ExitCode {
    notices.fail(message);
    ExitCode::from(2)
}

fn print(text: &[u8]) -> ExitCode {
    use std::io::Write as _;
    // A closed stdout (`| head`) is no error.
    let _ = std::io::stdout().write_all(text);
    ExitCode::SUCCESS
}
