//! What the load generator takes of its own machine: open files and processor time.

#[cfg(unix)]
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};
use std::time::Duration;

/// Raises the limit of open files as far as it must and may be raised.
///
/// # Errors
/// One line for people: the machine doesn't allow so many.
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

/// Processor time of this process so far, of all its threads.
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

/// Files beside the connections: the runtime's, the terminal's, name resolution, certificates.
#[cfg(unix)]
const SPARE_FILES: usize = 64;
