//! The command line: commands, options, and the default command.

use std::{
    error::Error,
    ffi::{OsStr, OsString},
    fmt,
    process::ExitCode,
};

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{
    bench::BenchArgs,
    channel_log::{self, ChannelLogCommand},
    completions::{self, CompletionsArgs},
    config::{self, Config, ConfigErrors, ImportArgs, Loaded, LogFormat},
    connect::ConnectArgs,
    log::Notices,
    man::{self, ManArgs},
    token::{self, TokenCommand},
};

/// WebSocket server and client in one binary.
///
/// Without a command, sockeye serves: `sockeye --listen 0.0.0.0:8080` is `sockeye serve --listen 0.0.0.0:8080`.
#[derive(Parser, Debug)]
#[command(
    name = "sockeye",
    version,
    propagate_version = true,
    arg_required_else_help = false
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Serve the hub (channels for browsers and apps), echo endpoints, a broadcast room, a chat and a welcome page (the
    /// default command)
    #[command(after_help = SERVE_AFTER_HELP)]
    Serve(Box<Config>),
    /// Talk to a WebSocket server from the terminal or from a pipe
    #[command(after_help = crate::connect::EXIT_CODES)]
    Connect(Box<ConnectArgs>),
    /// Load a WebSocket server and measure it: round trips, idle connections, handshakes, fan-out
    #[command(after_help = crate::bench::EXIT_CODES)]
    Bench(Box<BenchArgs>),
    /// Check the configuration, print the defaults or the reference, translate a configuration of Centrifugo
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Make the tokens that clients connect and subscribe with, and show what is in one
    #[command(after_help = token::EXAMPLES)]
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Check, repair or print the log of channels in a data directory
    #[command(after_help = channel_log::AFTER_HELP)]
    Log {
        #[command(subcommand)]
        command: ChannelLogCommand,
    },
    /// Print the script that completes commands and options in a shell
    #[command(after_help = completions::WHERE_TO)]
    Completions(CompletionsArgs),
    /// Print a manual page in roff, or write those of all commands
    #[command(after_help = man::EXAMPLES)]
    Man(ManArgs),
}

#[derive(Subcommand, Debug)]
pub(crate) enum ConfigCommand {
    /// Read flags, environment and file as `serve` would; print the result and where each value comes from
    #[command(after_help = SERVE_AFTER_HELP)]
    Check(Box<Config>),
    /// Print a configuration file that holds the defaults
    Default(NoArgs),
    /// Print the reference of all keys in Markdown
    Reference(NoArgs),
    /// Print a configuration of Centrifugo 6 as one of Sockeye
    Import(ImportArgs),
}

#[derive(Args, Debug)]
pub(crate) struct NoArgs {}

const SERVE_AFTER_HELP: &str = "\
A value is taken from the flag, else from the environment, else from the file, else it is the default.

SIGHUP reads the certificate, its key and log-filter again; what else has changed holds from the next start on.

Exit code:
  0  ended by ctrl-C or SIGTERM
  2  could not start: bad flag, bad configuration, port in use, bad certificate";

/// The command to run, with the configuration already read.
#[derive(Debug)]
pub(crate) enum Order {
    Serve(Loaded),
    Connect(Box<ConnectArgs>),
    Bench(Box<BenchArgs>),
    ConfigCheck(Loaded),
    ConfigDefault,
    ConfigReference,
    Token(TokenCommand),
    ChannelLog(ChannelLogCommand),
    ConfigImport(ImportArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Why no command runs.
#[derive(Debug)]
pub(crate) enum CliError {
    /// A usage error. For clap, help and version are errors too, with their own stream and exit code.
    Usage(clap::Error),
    Config(ConfigErrors),
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
        }
    }
}

/// Reads the command line, the environment and the configuration file.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Order, CliError> {
    let args = with_default_command(args.into_iter().collect());
    let matches = command()
        .try_get_matches_from(&args)
        .map_err(CliError::Usage)?;
    let cli = Cli::from_arg_matches(&matches).map_err(CliError::Usage)?;
    let load = |path: &[&str]| {
        let layers = config::layers(innermost(&matches)).map_err(CliError::Config)?;
        let layered = layers.apply(command(), path);
        let matches = layered
            .try_get_matches_from(&args)
            .map_err(CliError::Usage)?;
        let cli = Cli::from_arg_matches(&matches).map_err(CliError::Usage)?;
        let (Command::Serve(config)
        | Command::Config {
            command: ConfigCommand::Check(config),
        }) = cli.command
        else {
            unreachable!("the same arguments give the same command");
        };
        layers
            .finish(*config, innermost(&matches))
            .map_err(CliError::Config)
    };
    Ok(match cli.command {
        Command::Serve(_) => Order::Serve(load(&["serve"])?),
        Command::Connect(connect) => Order::Connect(connect),
        Command::Bench(bench) => Order::Bench(bench),
        Command::Token { command } => Order::Token(command),
        Command::Log { command } => Order::ChannelLog(command),
        Command::Completions(args) => Order::Completions(args),
        Command::Man(args) => Order::Man(args),
        Command::Config { command } => match command {
            ConfigCommand::Check(_) => Order::ConfigCheck(load(&["config", "check"])?),
            ConfigCommand::Default(_) => Order::ConfigDefault,
            ConfigCommand::Reference(_) => Order::ConfigReference,
            ConfigCommand::Import(args) => Order::ConfigImport(args),
        },
    })
}

/// Returns the clap command. The help of each option has its environment variable and file key.
pub(crate) fn command() -> clap::Command {
    config::at_path(
        config::at_path(Cli::command(), &["serve"], config::with_origins),
        &["config", "check"],
        config::with_origins,
    )
}

/// Inserts the default command: `sockeye --flag …` means `sockeye serve --flag …`.
fn with_default_command(mut args: Vec<OsString>) -> Vec<OsString> {
    let own = ["-h", "--help", "-V", "--version"].map(OsStr::new);
    match args.get(1) {
        Some(first) if own.contains(&first.as_os_str()) => {}
        Some(first) if !first.as_encoded_bytes().starts_with(b"-") => {}
        _ => {
            if args.is_empty() {
                args.push("sockeye".into());
            }
            args.insert(1, "serve".into());
        }
    }
    args
}

/// Prints help, version or a usage error, and returns the exit code.
pub(crate) fn explain(error: &clap::Error, notices: Notices) -> ExitCode {
    match (bad_value(error), error.source()) {
        (Some(flag), Some(reason)) => notices.fail(&format!("{flag}: {reason}")),
        // Help goes to stdout as text, with --log-format=json too.
        _ if error.use_stderr() && notices.0 == LogFormat::Json => {
            notices.fail(error.to_string().trim());
        }
        _ => {
            let _ = error.print();
        }
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Returns the flag whose value one of our own parsers refused.
fn bad_value(error: &clap::Error) -> Option<String> {
    match (error.kind(), error.get(ContextKind::InvalidArg)?) {
        (ErrorKind::ValueValidation, ContextValue::String(arg)) => {
            arg.split(' ').next().map(str::to_owned)
        }
        _ => None,
    }
}

fn innermost(matches: &clap::ArgMatches) -> &clap::ArgMatches {
    matches
        .subcommand()
        .map_or(matches, |(_, inner)| innermost(inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn serve_is_the_default_command() {
        let line = |args: &[&str]| {
            let args = args.iter().map(OsString::from).collect();
            with_default_command(args)
                .into_iter()
                .map(|arg| arg.into_string().unwrap())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(line(&["sockeye"]), "sockeye serve");
        assert_eq!(
            line(&["sockeye", "--listen", ":1"]),
            "sockeye serve --listen :1"
        );
        assert_eq!(
            line(&["sockeye", "connect", "ws://a"]),
            "sockeye connect ws://a"
        );
        assert_eq!(line(&["sockeye", "--help"]), "sockeye --help");
    }
}
