//! Who used the processors: the server, this process, and others who should not have.

use std::{fs, process};

/// Seconds on a processor since the start of the machine or of the process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// The servers'.
    pub(crate) server: f64,
    /// This process's.
    pub(crate) load: f64,
    /// Everybody's, and what the hypervisor took.
    pub(crate) machine: f64,
}

impl Usage {
    pub(crate) fn now(servers: &[u32]) -> Self {
        Self {
            server: servers.iter().map(|&id| of_process(id)).sum(),
            load: of_process(process::id()),
            machine: of_machine(),
        }
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            server: self.server - before.server,
            load: self.load - before.load,
            machine: self.machine - before.machine,
        }
    }

    /// Seconds that neither the servers nor this process used.
    pub(crate) fn others(self) -> f64 {
        (self.machine - self.server - self.load).max(0.0)
    }
}

/// Nanosecond counts of all threads; 0 for a process that is gone.
fn of_process(id: u32) -> f64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else {
        return 0.0;
    };
    let nanoseconds = threads.flatten().filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e9
}

fn of_machine() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let busy = [0, 1, 2, 5, 6, 7].map(|index| ticks.get(index).copied().unwrap_or_default());
    busy.iter().sum::<f64>() / TICKS_PER_SECOND
}

/// `USER_HZ`, which is 100 on every Linux that we know of.
const TICKS_PER_SECOND: f64 = 100.0;
