//! The load generator's own use of the machine: open files and processor time.

#[cfg(unix)]
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};
use std::time::Duration;

/// Raises the limit of open files to what the run needs.
///
/// # Errors
/// The system doesn't allow that many. The text is one line.
#[cfg(unix)]
pub(crate) fn allow_connections(connections: usize) -> Result<(), String> {
    let needed = (connections + SPARE_FILES) as u64;
    let limit = getrlimit(Resource::Nofile);
    // `None` is "unlimited".
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(maximum) = limit.maximum
        && maximum < needed
    {
        let possible = maximum.saturating_sub(SPARE_FILES as u64);
        return Err(format!(
            "{connections} connections need {needed} open files, this process may have {maximum} \
             (see ulimit -Hn): raise that, or use --connections {possible}"
        ));
    }
    let wanted = Rlimit {
        current: Some(needed),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, wanted).map_err(|error| {
        format!(
            "{connections} connections need {needed} open files: cannot raise the limit: {error}"
        )
    })
}

#[cfg(not(unix))]
pub(crate) fn allow_connections(_connections: usize) -> Result<(), String> {
    Ok(())
}

/// Returns the processor time of all threads of this process so far.
#[cfg(unix)]
pub(crate) fn processor_time() -> Option<Duration> {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Some(Duration::new(
        u64::try_from(time.tv_sec).ok()?,
        u32::try_from(time.tv_nsec).ok()?,
    ))
}

#[cfg(not(unix))]
pub(crate) fn processor_time() -> Option<Duration> {
    None
}

/// Returns the processor time of all threads of a process so far, as the scheduler counts it. Linux alone has it.
pub(crate) fn processor_time_of(process: u32) -> Option<Duration> {
    let mut nanos = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task")).ok()? {
        // A thread may end meanwhile.
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat"));
        let text = text.unwrap_or_default();
        let running = text.split(' ').next().and_then(|it| it.parse::<u64>().ok());
        nanos += running.unwrap_or(0);
    }
    Some(Duration::from_nanos(nanos))
}

/// Returns the process memory (RSS) of a process, in bytes. Linux alone has it.
pub(crate) fn memory_of(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib << 10)
}

/// Open files beside the connections: of the runtime, the terminal, DNS and certificates.
#[cfg(unix)]
const SPARE_FILES: usize = 64;
