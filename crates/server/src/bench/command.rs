//! Runs `sockeye bench`.

use std::{io::Write as _, process::ExitCode, sync::Arc};

use sockeye::{Deflate, Settings};

use super::{
    args::BenchArgs,
    machine,
    measurement::{Failure, measure, wanted},
    payload::Payload,
    report::Report,
    schedule::UNANSWERED_MAX,
    tokens::{Dials, Elsewhere},
};
use crate::{config::Switch, dial::warn_if_insecure};

/// Measures, prints the report, and returns the exit code.
pub(crate) fn run(args: &BenchArgs) -> ExitCode {
    warn_if_insecure(&args.dial);
    match measured(args) {
        Ok(report) => {
            print(args, &report);
            if report.is_flawless() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(FLAWED)
            }
        }
        Err(failure) => {
            let (code, text) = match failure {
                Failure::Usage(text) => (USAGE, text),
                Failure::Flawed(text) => (FLAWED, text),
                Failure::NotConnected(text) => (NOT_CONNECTED, text),
            };
            eprintln!("sockeye: {text}");
            ExitCode::from(code)
        }
    }
}

const FLAWED: u8 = 1;
const USAGE: u8 = 2;
const NOT_CONNECTED: u8 = 3;

fn print(args: &BenchArgs, report: &Report) {
    let text = if args.json {
        let json = serde_json::to_string_pretty(report)
            .expect("a report holds nothing but text and numbers");
        format!("{json}\n")
    } else {
        report.to_string()
    };
    // A closed stdout (`| head`) is no error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    if report
        .processor
        .as_ref()
        .is_some_and(|own| own.is_bottleneck)
    {
        eprintln!(
            "sockeye: this process was busy all the time: the server may be faster than it seems. \
             Try more --threads, or another machine for the load"
        );
    }
    if let Some(schedule) = report.schedule.as_ref().filter(|schedule| schedule.is_late) {
        eprintln!("sockeye: {}", schedule.warning());
    }
}

fn measured(args: &BenchArgs) -> Result<Report, Failure> {
    args.check().map_err(Failure::Usage)?;
    let payload = payload(args).map_err(Failure::Usage)?;
    machine::allow_connections(wanted(args)).map_err(Failure::Usage)?;
    let mut dialled = args.dial.clone();
    // An echo is as large as the message sent.
    dialled.max_message.0 = dialled.max_message.0.max(args.message_bytes());
    dialled.subprotocol = args.subprotocols();
    let elsewhere = match args.mode().is_hub() {
        true => Elsewhere::FirstMessage,
        false => Elsewhere::None,
    };
    let dials = Dials::new(&dialled, settings(args), args.token_file(), elsewhere);
    let dials = dials.map_err(Failure::Usage)?;
    let mut builder = match args.threads() {
        // The current-thread runtime is cheaper than a pool of one thread.
        1 => tokio::runtime::Builder::new_current_thread(),
        threads => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| Failure::Usage(format!("cannot start threads: {error}")))?;
    let report = runtime.block_on(measure(args, Arc::new(dials), payload));
    // A DNS lookup may still run; it is not awaited.
    runtime.shutdown_background();
    report
}

fn payload(args: &BenchArgs) -> Result<Payload, String> {
    match args.message() {
        None => Ok(Payload::generated(args.message_bytes(), args.kind())),
        Some(message) => Payload::given(message.to_vec(), args.kind())
            .map_err(|error| format!("--message: {error}; use --binary")),
    }
}

fn settings(args: &BenchArgs) -> Settings {
    let mut settings = Settings::default();
    let message_bytes = args.message_bytes() + FRAME_BYTES;
    let messages_bytes = |count: usize| message_bytes.saturating_mul(count);
    let needed = match args.rate {
        // Room for all messages in flight, so that sending never waits.
        None => messages_bytes(args.in_flight.0 as usize + 1),
        // Messages that wait for a server that reads nothing. At least one has room.
        Some(_) => messages_bytes(UNANSWERED_MAX)
            .min(WAITING_BYTES_MAX)
            .max(messages_bytes(2)),
    };
    settings.outbox_bytes_max = settings.outbox_bytes_max.max(needed);
    settings.limits.close_timeout = args.patience.0;
    // The load generator adds no traffic of its own.
    settings.heartbeat = None;
    settings.deflate = (args.deflate == Switch::On).then(Deflate::default);
    settings
}

/// Bytes. With `--rate`, this much can wait in one connection. Further messages are not sent and count as lost.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// Bytes that a message may grow by on its way to the wire: a header of 14, and 5 for each 16 KiB that deflate
/// can't make smaller. A page is more than both for what fits 16 MiB.
const FRAME_BYTES: usize = 8192;
