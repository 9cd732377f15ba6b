//! The command line.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{durable, fan_out, log_start, publishers};

/// Measures the hub and its log. Each measurement prints a table, and writes it into the page, if one is named
#[derive(Parser, Debug)]
#[command(name = "hub", version)]
struct Args {
    /// The page with the figures, such as docs/hub-benchmarks.md
    #[arg(long, global = true, value_name = "FILE")]
    page: Option<PathBuf>,

    /// Directory for data, on the disk that is measured
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "benches/target/hub"
    )]
    work: PathBuf,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Starts of a log with many channels, and the memory of its index
    LogStart(log_start::Size),

    /// Publications per second of 100 publishers, in memory and on the disk, beside NATS JetStream and Redis
    Durable(durable::Durable),

    /// Deliveries, recoveries and idle clients, beside Centrifugo
    FanOut(fan_out::FanOut),

    /// Publishes for `durable`
    #[command(hide = true)]
    Publish(publishers::Load),

    /// Opens a log once, and prints how that went
    #[command(hide = true)]
    LogOpen {
        /// The log
        directory: PathBuf,
    },
}

/// Runs the command.
pub fn run() -> ExitCode {
    let args = Args::parse();
    let page = args.page.as_deref();
    let done = match &args.command {
        Command::LogStart(size) => log_start::measure(&args.work, *size, page),
        Command::Durable(durable) => durable::measure(&args.work, durable, page),
        Command::FanOut(fan_out) => fan_out::measure(&args.work, fan_out, page),
        Command::Publish(load) => publishers::run(load),
        Command::LogOpen { directory } => log_start::open(directory),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hub: {error}");
            ExitCode::FAILURE
        }
    }
}
