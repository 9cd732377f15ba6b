//! The command line, and what is measured in which order.

use std::{fs, io, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;

use crate::{cell::Cell, page, plot, results, server, visitor::Method};

/// Measures Ajax polling, long polling and WebSocket side by side: bytes, requests, server CPU, delay.
#[derive(Parser, Debug)]
#[command(name = "polling", version)]
pub(crate) struct Args {
    /// How many clients; several numbers are measured one after the other
    #[arg(
        long,
        value_name = "COUNT",
        value_delimiter = ',',
        default_value = "200"
    )]
    clients: Vec<usize>,

    /// How many updates; several numbers are measured one after the other
    #[arg(
        long,
        value_name = "COUNT",
        value_delimiter = ',',
        default_value = "3,12,60"
    )]
    updates: Vec<usize>,

    /// Seconds over which the updates are spread
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    span: f64,

    /// Seconds between two requests of Ajax polling; several numbers are measured one after the other
    #[arg(
        long,
        value_name = "SECONDS",
        value_delimiter = ',',
        default_value = "1,0.1"
    )]
    interval: Vec<f64>,

    /// Write polling.md, polling.csv and images/polling.svg into this folder
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,

    /// Be the server of one measurement
    #[arg(long, hide = true)]
    serve: bool,
}

/// Runs the command.
pub fn run() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = runtime.and_then(|runtime| {
        runtime.block_on(async {
            if args.serve {
                server::serve().await
            } else {
                measure(&args).await
            }
        })
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("polling: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(args: &Args) -> io::Result<()> {
    let seconds = |value: f64, flag: &str| {
        Duration::try_from_secs_f64(value)
            .ok()
            .filter(|time| !time.is_zero())
            .ok_or_else(|| io::Error::other(format!("{flag}: a number of seconds above 0")))
    };
    let span = seconds(args.span, "--span")?;
    let mut methods = Vec::new();
    for &interval in &args.interval {
        methods.push(Method::Ajax(seconds(interval, "--interval")?));
    }
    methods.extend([Method::LongPolling, Method::WebSocket]);
    let mut outcomes = Vec::new();
    for &clients in &args.clients {
        for &updates in &args.updates {
            for &method in &methods {
                eprintln!("{clients} clients, {updates} updates: {method}");
                let cell = Cell {
                    method,
                    clients,
                    updates,
                    span,
                };
                outcomes.push(cell.measure().await?);
            }
        }
    }
    let table = results::table(&outcomes);
    println!("{table}");
    let Some(folder) = &args.into else {
        println!("{}", results::csv(&outcomes));
        return Ok(());
    };
    // One picture has room for one number of clients.
    let first: Vec<_> = outcomes
        .iter()
        .filter(|outcome| Some(&outcome.cell.clients) == args.clients.first())
        .cloned()
        .collect();
    fs::create_dir_all(folder.join("images"))?;
    fs::write(folder.join("polling.csv"), results::csv(&outcomes))?;
    fs::write(folder.join("images/polling.svg"), plot::svg(&first))?;
    fs::write(folder.join("polling.md"), page::page(span, &table, &first))
}
