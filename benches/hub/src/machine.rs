//! Where this runs, and what a process uses of it.

use std::{fs, io, time::Duration};

/// Processor, number of cores and kernel, on one line.
pub(crate) fn description() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = text
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let processor = name.map(|name| name.trim_start_matches([' ', '\t', ':']));
    format!(
        "{cores} cores of {}, Linux {}",
        processor.unwrap_or("an unnamed processor"),
        kernel.trim()
    )
}

/// Returns the process memory (RSS) of a process: its number, or `self`.
pub(crate) fn resident_bytes(process: &str) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/statm"))?;
    let pages = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    let pages = pages.ok_or(io::ErrorKind::InvalidData)?;
    Ok(pages * rustix::param::page_size() as u64)
}

/// Returns the processor time of all threads of a process so far.
pub(crate) fn processor_time(process: u32) -> io::Result<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end meanwhile.
        let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        nanos += text
            .split(' ')
            .next()
            .and_then(|it| it.parse::<u64>().ok())
            .unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanos))
}

/// Returns the bytes that a process has had written to disks so far.
pub(crate) fn written_bytes(process: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/io"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}
