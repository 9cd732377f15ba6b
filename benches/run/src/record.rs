//! What was measured, as a file: one line for each measurement. A run that was broken off goes on from it.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::{
    instructions::Count,
    measurement::{Latency, Measurement},
    memory::{Memory, Weight},
    rounds::Outcome,
};

/// A folder with three files.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    folder: PathBuf,
}

impl Record {
    pub(crate) fn in_folder(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) -> io::Result<()> {
        for name in [SPEED, MEMORY, INSTRUCTIONS] {
            match fs::remove_file(self.folder.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn add_outcome(&self, outcome: &Outcome) -> io::Result<()> {
        let mut lines = Vec::new();
        for (round, measurements) in outcome.rounds.iter().enumerate() {
            for (peer, one) in measurements {
                let optional =
                    |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.1}"));
                lines.push(format!(
                    "{},{round},{peer},{:.1},{:.1},{:.1},{:.3},{:.3},{:.3},{},{},{},",
                    outcome.name,
                    one.per_second,
                    one.server_ns,
                    one.load_ns,
                    one.server_busy,
                    one.load_busy,
                    one.others_busy,
                    optional(one.wire_bytes),
                    optional(one.latency.map(|latency| latency.p50)),
                    optional(one.latency.map(|latency| latency.p99)),
                ));
            }
        }
        for (peer, reason) in &outcome.failed {
            let reason = reason.replace([',', '\n'], ";");
            lines.push(format!("{},,{peer},,,,,,,,,,{reason}", outcome.name));
        }
        self.append(SPEED, SPEED_HEAD, &lines)
    }

    pub(crate) fn add_weights(&self, weights: &[Weight]) -> io::Result<()> {
        let lines: Vec<String> = weights
            .iter()
            .map(|weight| match &weight.memory {
                Ok(memory) => format!(
                    "{},{},{:.0},{:.0},",
                    weight.cell, weight.peer, memory.opened, memory.burst
                ),
                Err(reason) => format!(
                    "{},{},,,{}",
                    weight.cell,
                    weight.peer,
                    reason.replace([',', '\n'], ";")
                ),
            })
            .collect();
        self.append(MEMORY, MEMORY_HEAD, &lines)
    }

    pub(crate) fn add_counts(&self, counts: &[Count]) -> io::Result<()> {
        let lines: Vec<String> = counts
            .iter()
            .map(|count| {
                let each = count.instructions.iter();
                let each = each.map(|one| one.map_or(String::new(), |one| format!("{one:.0}")));
                format!("{},{}", count.peer, each.collect::<Vec<_>>().join(","))
            })
            .collect();
        self.append(INSTRUCTIONS, INSTRUCTIONS_HEAD, &lines)
    }

    /// By the cell's name.
    pub(crate) fn outcomes(&self) -> io::Result<BTreeMap<String, Outcome>> {
        let mut outcomes = BTreeMap::<String, Outcome>::new();
        for fields in self.lines(SPEED)? {
            let [cell, round, peer, rest @ ..] = &fields[..] else {
                continue;
            };
            let outcome = outcomes.entry(cell.clone()).or_insert_with(|| Outcome {
                name: cell.clone(),
                rounds: Vec::new(),
                failed: BTreeMap::new(),
            });
            let Ok(round) = round.parse::<usize>() else {
                let reason = rest.last().cloned().unwrap_or_default();
                outcome.failed.insert(peer.clone(), reason);
                continue;
            };
            if outcome.rounds.len() <= round {
                outcome.rounds.resize(round + 1, BTreeMap::new());
            }
            let field = |index: usize| rest.get(index).and_then(|text| text.parse::<f64>().ok());
            let latency = field(7).zip(field(8));
            let measurement = Measurement {
                per_second: field(0).unwrap_or(f64::NAN),
                server_ns: field(1).unwrap_or(f64::NAN),
                load_ns: field(2).unwrap_or(f64::NAN),
                server_busy: field(3).unwrap_or(f64::NAN),
                load_busy: field(4).unwrap_or(f64::NAN),
                others_busy: field(5).unwrap_or(f64::NAN),
                wire_bytes: field(6),
                latency: latency.map(|(p50, p99)| Latency { p50, p99 }),
            };
            outcome.rounds[round].insert(peer.clone(), measurement);
        }
        Ok(outcomes)
    }

    pub(crate) fn weights(&self) -> io::Result<Vec<Weight>> {
        let lines = self.lines(MEMORY)?.into_iter();
        Ok(lines
            .filter_map(|fields| {
                let [cell, peer, opened, burst, reason] = <[String; 5]>::try_from(fields).ok()?;
                let memory = match (opened.parse(), burst.parse()) {
                    (Ok(opened), Ok(burst)) => Ok(Memory { opened, burst }),
                    _ => Err(reason),
                };
                Some(Weight { cell, peer, memory })
            })
            .collect())
    }

    pub(crate) fn counts(&self) -> io::Result<Vec<Count>> {
        let lines = self.lines(INSTRUCTIONS)?.into_iter();
        Ok(lines
            .filter_map(|fields| {
                let (peer, each) = fields.split_first()?;
                Some(Count {
                    peer: peer.clone(),
                    instructions: each.iter().map(|text| text.parse().ok()).collect(),
                })
            })
            .collect())
    }

    fn append(&self, name: &str, head: &str, lines: &[String]) -> io::Result<()> {
        let path = self.folder.join(name);
        let is_new = !path.exists();
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        if is_new {
            writeln!(file, "{head}")?;
        }
        for line in lines {
            writeln!(file, "{line}")?;
        }
        Ok(())
    }

    /// Without the head.
    fn lines(&self, name: &str) -> io::Result<Vec<Vec<String>>> {
        let text = match fs::read_to_string(self.folder.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        let fields = |line: &str| line.split(',').map(str::to_owned).collect();
        Ok(text.lines().skip(1).map(fields).collect())
    }
}

const SPEED: &str = "speed.csv";
const SPEED_HEAD: &str = "cell,round,server,per_second,server_ns_each,load_ns_each,server_busy,load_busy,others_busy,bytes_each,p50_us,p99_us,failed";
const MEMORY: &str = "memory.csv";
const MEMORY_HEAD: &str = "cell,server,bytes_each_opened,bytes_each_after_burst,failed";
const INSTRUCTIONS: &str = "instructions.csv";
const INSTRUCTIONS_HEAD: &str = "server,20 B alone,20 B x 16,1 KiB non-ASCII x 16";
