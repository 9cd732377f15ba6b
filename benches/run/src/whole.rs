//! A whole run: builds, measures all that the plan asks for and isn't recorded yet, and writes it up.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    instructions,
    memory::Weight,
    page::page,
    peer::Peer,
    plan::{Part, Plan},
    plot,
    record::Record,
    setting::Setting,
    workshop::source,
};

/// What is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    pub(crate) plan: Plan,
    /// Where the record is kept.
    pub(crate) folder: PathBuf,
    /// Only cells whose name contains one of these; all, if there is none.
    pub(crate) only: Vec<String>,
    /// After so long no new cell is begun: the next run goes on.
    pub(crate) time: Option<Duration>,
    pub(crate) output: Output,
}

/// Where the page goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// To standard output.
    Print,
    /// There, and into `docs/`.
    Docs,
}

impl Whole {
    pub(crate) fn run(mut self, setting: &Setting) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        let record = Record::in_folder(&self.folder)?;
        let absent = setting.workshop.build(&Peer::all());
        for part in &mut self.plan.parts {
            part.peers.retain(|peer| !absent.contains_key(&peer.name));
        }
        self.plan
            .counted
            .retain(|peer| !absent.contains_key(&peer.name));
        let is_late = || self.time.is_some_and(|time| start.elapsed() > time);
        for part in &self.plan.parts {
            if !self.measure(setting, part, &record, is_late)? {
                eprintln!("The time is over; the same command goes on from here.");
                return Ok(());
            }
        }
        if self.only.is_empty() && record.counts()?.is_empty() {
            eprintln!("instructions");
            record.add_counts(&instructions::count(setting, &self.plan.counted))?;
        }
        let text = page(&self.plan, &record, &absent)?;
        println!("{text}");
        let picture = plot::bars(&self.plan.parts[0], &record.outcomes()?);
        fs::write(self.folder.join("echo.svg"), picture)?;
        if self.output == Output::Docs {
            publish(&self.folder, &text)?;
        }
        Ok(())
    }

    /// Whether all of the part is measured.
    fn measure(
        &self,
        setting: &Setting,
        part: &Part,
        record: &Record,
        is_late: impl Fn() -> bool,
    ) -> Result<bool, Box<dyn Error>> {
        for cell in &part.cells {
            let name = cell.name();
            let is_wanted =
                self.only.is_empty() || self.only.iter().any(|only| name.contains(only));
            let is_known = record.outcomes()?.contains_key(&name)
                || record.weights()?.iter().any(|weight| weight.cell == name);
            if !is_wanted || is_known {
                continue;
            }
            if is_late() {
                return Ok(false);
            }
            eprintln!("{name}");
            if part.is_idle() {
                record.add_weights(&Weight::all(setting, cell, &part.peers))?;
            } else {
                let rounds = part.rounds.for_cell(cell);
                record.add_outcome(&rounds.run(setting, cell, &part.peers))?;
            }
        }
        Ok(true)
    }
}

/// The page, the picture and the figures.
fn publish(folder: &Path, text: &str) -> std::io::Result<()> {
    let docs = source("../docs");
    let figures = docs.join("benchmarks");
    fs::create_dir_all(&figures)?;
    fs::write(docs.join("benchmarks.md"), text)?;
    for name in ["speed.csv", "memory.csv", "instructions.csv", "echo.svg"] {
        if folder.join(name).exists() {
            fs::copy(folder.join(name), figures.join(name))?;
        }
    }
    Ok(())
}
