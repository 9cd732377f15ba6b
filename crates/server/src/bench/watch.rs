//! Waits for a measurement: time, ctrl-C and the progress line.

use std::{
    future::Future,
    io::{self, IsTerminal as _, Write as _},
    pin::pin,
    time::Duration,
};

use tokio::time;

use crate::{signal::Signals, tty};

/// Waits for work, shows progress, and catches ctrl-C.
pub(crate) struct Watch {
    signals: Option<Signals>,
    show: Show,
    interrupted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Show {
    Nothing,
    /// A line for each second.
    Lines,
    /// One line of a terminal, rewritten each second.
    InPlace,
}

impl Watch {
    /// Shows progress if stderr is a terminal, or if `asked`.
    pub(crate) fn new(asked: bool) -> Self {
        let show = match (io::stderr().is_terminal() && !tty::is_dumb(), asked) {
            (true, _) => Show::InPlace,
            (false, true) => Show::Lines,
            (false, false) => Show::Nothing,
        };
        Self {
            signals: Signals::catch_with_hang_up().ok(),
            show,
            interrupted: false,
        }
    }

    /// Returns whether ctrl-C was pressed.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    /// Waits for `work`, and shows the line that `look` returns each second. Returns `None` if it is interrupted.
    pub(crate) async fn during<T>(
        &mut self,
        work: impl Future<Output = T>,
        mut look: impl FnMut() -> String,
    ) -> Option<T> {
        let mut work = pin!(work);
        let mut beat = time::interval_at(time::Instant::now() + INTERVAL, INTERVAL);
        let done = loop {
            tokio::select! {
                done = &mut work => break Some(done),
                _ = beat.tick() => self.print(&look()),
                () = next(&mut self.signals) => {
                    self.interrupted = true;
                    break None;
                }
            }
        };
        if self.show == Show::InPlace {
            // Clears the line for the following output.
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
        done
    }

    fn print(&self, line: &str) {
        // A closed stderr doesn't end the measurement.
        let _ = match self.show {
            Show::Nothing => Ok(()),
            Show::Lines => writeln!(io::stderr(), "{line}"),
            Show::InPlace => write!(io::stderr(), "\r\x1b[K{line}"),
        };
    }
}

async fn next(signals: &mut Option<Signals>) {
    match signals {
        Some(signals) => signals.recv().await,
        None => std::future::pending().await,
    }
}

/// Time between two lines of progress.
const INTERVAL: Duration = Duration::from_secs(1);
