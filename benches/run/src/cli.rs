//! What can be asked of the runner.

use std::{error::Error, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{
    cell::{Cell, Payload, Way},
    instructions,
    measurement::Window,
    memory::Weight,
    peer::Peer,
    plan::Plan,
    record::Record,
    rounds::Rounds,
    scaling,
    setting::Setting,
    smoke, table,
    whole::{Output, Whole},
};

/// Runs the benchmarks.
#[derive(Debug, Parser)]
#[command(name = "run")]
struct Cli {
    #[command(subcommand)]
    command: Order,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// Everything, into docs/; a run that was broken off goes on
    Full(FullArgs),
    /// The most important cells, in minutes, to standard output
    Quick(FullArgs),
    /// Every kind of measurement for a moment: whether it runs and what comes back is right, no figures
    Smoke,
    /// Build the servers
    Build {
        /// Which; all, if none is named
        #[arg(long, value_delimiter = ',')]
        peers: Vec<String>,
    },
    /// Instructions for each message, in user space, counted by valgrind
    Instructions(Who),
    /// What a message costs with one worker and with two: whether they share anything
    Scaling {
        #[arg(long, default_value = "sockeye")]
        peer: String,
        #[command(flatten)]
        other: Other,
    },
    /// One cell: what is sent comes back
    Echo {
        #[arg(long, default_value_t = 200)]
        connections: usize,
        /// Payload of one message
        #[arg(long, default_value_t = 20)]
        bytes: usize,
        /// Messages under way at the same time on each connection
        #[arg(long, default_value_t = 1)]
        in_flight: usize,
        #[arg(long, value_enum, default_value_t)]
        payload: Payload,
        #[arg(long, value_enum, default_value_t)]
        way: Way,
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        how: How,
    },
    /// One cell: what one sends comes to all
    Broadcast {
        #[arg(long, default_value_t = 1000)]
        receivers: usize,
        #[arg(long, default_value_t = 125)]
        bytes: usize,
        /// Publications under way at the same time
        #[arg(long, default_value_t = 1)]
        in_flight: usize,
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        how: How,
    },
    /// One cell: connect, upgrade, close, and again
    Handshakes {
        /// Handshakes under way at the same time
        #[arg(long, default_value_t = 32)]
        outstanding: usize,
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        how: How,
    },
    /// One cell: the memory of connections that do nothing
    Idle {
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
        #[arg(long, value_enum, default_value_t)]
        way: Way,
        #[command(flatten)]
        who: Who,
    },
}

/// Who is measured.
#[derive(Clone, Debug, Args)]
struct Who {
    /// Names; NAME@LABEL is NAME with the binary of `--binary NAME@LABEL=PATH`
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "raw-epoll,uwebsockets,sockeye"
    )]
    peers: Vec<String>,
    #[command(flatten)]
    other: Other,
}

/// Which binaries.
#[derive(Clone, Debug, Args)]
struct Other {
    /// Another binary for a peer, NAME=PATH
    #[arg(long, value_parser = named_path)]
    binary: Vec<(String, PathBuf)>,
}

/// For how long.
#[derive(Clone, Debug, Args)]
struct How {
    /// Seconds of one measurement
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Seconds before it
    #[arg(long, default_value_t = 0.3)]
    warm_up: f64,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// What of a whole run.
#[derive(Clone, Debug, Args)]
struct FullArgs {
    /// Only cells whose name contains this; may be given many times
    #[arg(long)]
    cell: Vec<String>,
    /// Begin no new cell after so many seconds; the same command goes on
    #[arg(long)]
    time: Option<u64>,
    /// Forget what was measured before
    #[arg(long)]
    fresh: bool,
    /// Write the page into docs/, as a full run always does
    #[arg(long)]
    docs: bool,
    #[command(flatten)]
    other: Other,
}

fn named_path(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("NAME=PATH is wanted")?;
    Ok((name.to_owned(), path.into()))
}

/// Does what the command line asks.
#[must_use]
pub fn run() -> ExitCode {
    match Cli::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("run: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Order {
    fn run(self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Full(args) => args.run(Plan::full(), "full", Output::Docs),
            Self::Quick(args) => args.run(Plan::quick(), "quick", Output::Print),
            Self::Smoke => smoke::run(&Setting::new(Vec::new())?),
            Self::Build { peers } => {
                let peers = if peers.is_empty() {
                    Peer::all()
                } else {
                    found(&peers)?
                };
                Setting::new(Vec::new())?.workshop.build(&peers);
                Ok(())
            }
            Self::Instructions(who) => {
                let (setting, peers) = who.chosen()?;
                let counts = instructions::count(&setting, &peers);
                print!("{}", table::instructions(&counts));
                Ok(())
            }
            Self::Scaling { peer, other } => {
                let setting = Setting::new(other.binary)?;
                let costs = scaling::costs(&setting, &find(&peer)?)?;
                print!("{}", table::costs(&costs));
                Ok(())
            }
            Self::Echo {
                connections,
                bytes,
                in_flight,
                payload,
                way,
                who,
                how,
            } => {
                let cell = Cell::Echo {
                    connections,
                    bytes,
                    in_flight,
                    payload,
                    way,
                };
                how.measure(&cell, &who)
            }
            Self::Broadcast {
                receivers,
                bytes,
                in_flight,
                who,
                how,
            } => {
                let cell = Cell::Broadcast {
                    receivers,
                    bytes,
                    in_flight,
                };
                how.measure(&cell, &who)
            }
            Self::Handshakes {
                outstanding,
                who,
                how,
            } => how.measure(&Cell::Handshakes { outstanding }, &who),
            Self::Idle {
                connections,
                way,
                who,
            } => {
                let (setting, peers) = who.chosen()?;
                let weights = Weight::all(&setting, &Cell::Idle { connections, way }, &peers);
                print!("{}", table::memory(&weights));
                Ok(())
            }
        }
    }
}

impl How {
    fn measure(&self, cell: &Cell, who: &Who) -> Result<(), Box<dyn Error>> {
        let (setting, peers) = who.chosen()?;
        let rounds = Rounds {
            window: Window::Time {
                warm_up: self.warm_up,
                measured: self.seconds,
            },
            rounds: self.rounds,
        };
        let outcome = rounds.run(&setting, cell, &peers);
        println!("{}\n\n{}", outcome.name, table::cell(&outcome, &peers));
        Ok(())
    }
}

impl Who {
    fn chosen(&self) -> Result<(Setting, Vec<Peer>), Box<dyn Error>> {
        let setting = Setting::new(self.other.binary.clone())?;
        Ok((setting, found(&self.peers)?))
    }
}

impl FullArgs {
    fn run(self, plan: Plan, folder: &str, output: Output) -> Result<(), Box<dyn Error>> {
        let setting = Setting::new(self.other.binary)?;
        let folder = setting.workshop.scratch().join(folder);
        if self.fresh {
            Record::in_folder(&folder)?.clear()?;
        }
        let whole = Whole {
            plan,
            folder,
            only: self.cell,
            time: self.time.map(Duration::from_secs),
            output: if self.docs { Output::Docs } else { output },
        };
        whole.run(&setting)
    }
}

fn found(names: &[String]) -> Result<Vec<Peer>, Box<dyn Error>> {
    names.iter().map(|name| find(name)).collect()
}

fn find(name: &str) -> Result<Peer, Box<dyn Error>> {
    Peer::find(name).ok_or_else(|| {
        let known: Vec<String> = Peer::all().into_iter().map(|peer| peer.name).collect();
        format!("no peer {name}; there are {}", known.join(", ")).into()
    })
}
