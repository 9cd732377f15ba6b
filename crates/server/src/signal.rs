//! The signals that end a process, and the one that reloads a server's files.

use tokio::signal;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind};

/// SIGINT (ctrl-C) and SIGTERM, caught from the creation of this value on; also SIGHUP, if asked for.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: Signal,
    #[cfg(unix)]
    terminate: Signal,
    #[cfg(unix)]
    hang_up: Option<Signal>,
}

impl Signals {
    /// Catches SIGINT and SIGTERM.
    #[cfg(unix)]
    pub(crate) fn catch() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal::unix::signal(SignalKind::interrupt())?,
            terminate: signal::unix::signal(SignalKind::terminate())?,
            hang_up: None,
        })
    }

    /// Also catches SIGHUP, which a terminal sends when it is closed, unless `nohup` makes the process ignore it.
    #[cfg(unix)]
    pub(crate) fn catch_with_hang_up() -> std::io::Result<Self> {
        let ignored = is_hang_up_ignored();
        let mut signals = Self::catch()?;
        if !ignored {
            signals.hang_up = Some(signal::unix::signal(SignalKind::hangup())?);
        }
        Ok(signals)
    }

    #[cfg(not(unix))]
    pub(crate) fn catch() -> std::io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    pub(crate) fn catch_with_hang_up() -> std::io::Result<Self> {
        Self::catch()
    }

    /// Waits for the next signal. Cancel safe.
    #[cfg(unix)]
    pub(crate) async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = next(&mut self.hang_up) => {}
        }
    }

    /// Waits for the next signal. Cancel safe.
    #[cfg(not(unix))]
    pub(crate) async fn recv(&mut self) {
        // Without a handler no signal comes, so this waits forever.
        if signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// SIGHUP, which makes a server reload its files. Caught from the creation of this value on.
pub(crate) struct HangUps {
    #[cfg(unix)]
    signal: Option<Signal>,
}

impl HangUps {
    #[cfg(unix)]
    pub(crate) fn catch() -> std::io::Result<Self> {
        let signal = signal::unix::signal(SignalKind::hangup())?;
        Ok(Self {
            signal: Some(signal),
        })
    }

    #[cfg(not(unix))]
    pub(crate) fn catch() -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next signal. Cancel safe.
    pub(crate) async fn recv(&mut self) {
        #[cfg(unix)]
        next(&mut self.signal).await;
        #[cfg(not(unix))]
        std::future::pending::<()>().await;
    }
}

#[cfg(unix)]
async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Returns whether the parent process has set SIGHUP to be ignored. Only Linux tells; elsewhere it counts as not ignored.
#[cfg(unix)]
fn is_hang_up_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // proc_pid_status(5): a mask in hexadecimal, whose lowest bit is signal 1, which is SIGHUP.
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}
