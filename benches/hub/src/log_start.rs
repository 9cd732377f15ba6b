//! How long a log takes to start, and what its index holds in memory.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    fs, io,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use sockeye_hub::{
    Broker, Publication, PublishOptions, SystemClock,
    broker::{LogBroker, LogSettings, LogSync},
};

use crate::{machine, page};

/// What is generated and opened.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Size {
    /// Channels
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    channels: usize,

    /// Publications of each channel
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    records: usize,

    /// Starts, of which the median counts
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    starts: usize,
}

/// One start, in a process of its own.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Start {
    seconds: f64,
    /// Bytes of process memory that the start added.
    memory_bytes: u64,
    channels: usize,
    full_scan: Option<String>,
}

/// Generates two logs below `work`, opens them, and writes the part of the page.
pub(crate) fn measure(work: &Path, size: Size, into: Option<&Path>) -> io::Result<()> {
    let mut text = String::from(
        "| log | bytes of the log | checkpoint | start | process memory that the start adds | for each channel |\n\
         |---|---|---|---|---|---|\n",
    );
    let kinds = [("idle", 0), ("full", size.records)];
    let mut memories = vec![];
    for (name, records) in kinds {
        let directory = work.join(format!("log-{name}"));
        if !directory.join("checkpoint").exists() {
            let begun = Instant::now();
            generate(&directory, size.channels, records)?;
            eprintln!(
                "{name}: generated in {:.1} s",
                begun.elapsed().as_secs_f64()
            );
        }
        let mut starts = vec![];
        for _ in 0..size.starts {
            let start = open_in_child(&directory)?;
            eprintln!("{name}: {start:?}");
            starts.push(start);
        }
        starts.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
        let median = &starts[starts.len() / 2];
        let (log, checkpoint) = sizes(&directory)?;
        memories.push(median.memory_bytes);
        let seconds = starts.iter().map(|start| start.seconds);
        let (least, most) = seconds.fold((f64::MAX, 0.0_f64), |(least, most), it| {
            (least.min(it), most.max(it))
        });
        _ = writeln!(
            text,
            "| {} channels with {records} publications each | {} | {} | {:.2} s ({least:.2} to {most:.2}) | {} | {:.0} B |",
            page::count(size.channels as u64),
            page::bytes(log),
            page::bytes(checkpoint),
            median.seconds,
            page::bytes(median.memory_bytes),
            median.memory_bytes as f64 / size.channels as f64,
        );
    }
    let records = (size.channels * size.records).max(1);
    let each = memories[1].saturating_sub(memories[0]) as f64 / records as f64;
    _ = writeln!(
        text,
        "\nThe difference of the two is **{each:.1} B for each publication that is kept**. An idle channel's bytes include the \
         letters of its name (here {} B, in an allocation of its own). Each start is a process of its own; the files are in the \
         system's memory; median of {} starts (the least to the most). {}.",
        NAME_BYTES,
        size.starts,
        machine::description(),
    );
    page::replace(into, "log-start", &text)
}

/// Opens the log of a directory, and prints how that went.
pub(crate) fn open(directory: &Path) -> io::Result<()> {
    let before = machine::resident_bytes("self")?;
    let begun = Instant::now();
    let (broker, report) =
        LogBroker::open(directory, Arc::new(SystemClock), settings()).map_err(io::Error::other)?;
    let start = Start {
        seconds: begun.elapsed().as_secs_f64(),
        memory_bytes: machine::resident_bytes("self")?.saturating_sub(before),
        channels: report.channels,
        full_scan: report.full_scan,
    };
    println!("{}", serde_json::to_string(&start)?);
    broker.close();
    Ok(())
}

fn open_in_child(directory: &Path) -> io::Result<Start> {
    let output = Command::new(std::env::current_exe()?)
        .arg("log-open")
        .arg(directory)
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Writes a log. Channels with no publication have a position: one was published and removed.
fn generate(directory: &Path, channels: usize, records: usize) -> io::Result<()> {
    let (broker, _) =
        LogBroker::open(directory, Arc::new(SystemClock), settings()).map_err(io::Error::other)?;
    let names: Vec<Arc<str>> = (0..channels)
        .map(|number| format!("{number:0NAME_BYTES$}").into())
        .collect();
    let options = PublishOptions {
        history_size: records.max(1),
        history_ttl: Duration::from_hours(24),
        ..PublishOptions::default()
    };
    let publication = Publication {
        data: "{\"text\":\"a hundred bytes, as a chat's messages often are, with its author and some other field\",\"n\":1}".into(),
        ..Publication::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let mut waiting = VecDeque::new();
        for round in 0..records.max(1) {
            for name in &names {
                waiting.push_back(broker.publish(name, publication.clone(), options.clone()));
                if waiting.len() >= IN_FLIGHT
                    && let Some(answer) = waiting.pop_front()
                {
                    answer.await.map_err(io::Error::other)?;
                }
            }
            eprintln!("round {round}");
        }
        for answer in waiting {
            answer.await.map_err(io::Error::other)?;
        }
        if records == 0 {
            let mut waiting = VecDeque::new();
            for name in &names {
                waiting.push_back(broker.remove_history(name));
                if waiting.len() >= IN_FLIGHT
                    && let Some(answer) = waiting.pop_front()
                {
                    answer.await.map_err(io::Error::other)?;
                }
            }
            for answer in waiting {
                answer.await.map_err(io::Error::other)?;
            }
        }
        Ok::<(), io::Error>(())
    })?;
    broker.close();
    Ok(())
}

fn settings() -> LogSettings {
    let mut settings = LogSettings::default();
    settings.sync = LogSync::None;
    settings
}

/// Returns the bytes of the segments, and of the checkpoint.
fn sizes(directory: &Path) -> io::Result<(u64, u64)> {
    let (mut log, mut checkpoint) = (0, 0);
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let bytes = entry.metadata()?.len();
        match entry.file_name().to_string_lossy() {
            name if name.ends_with(".seg") => log += bytes,
            name if name == "checkpoint" => checkpoint = bytes,
            _ => {}
        }
    }
    Ok((log, checkpoint))
}

/// Publications that wait for the log at once.
const IN_FLIGHT: usize = 16_384;

/// Letters of a channel's name.
const NAME_BYTES: usize = 12;
