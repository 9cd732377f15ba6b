//! Requests to end the conversation.

use tokio::sync::mpsc;

use super::input::Source;
use crate::signal::Signals;

/// Requests to end the conversation: signals, and the keys that make no signals in raw mode.
///
/// The first closes the WebSocket, the second doesn't wait for the server.
pub(crate) struct StopRequests {
    signals: Option<Signals>,
    keys: Option<mpsc::Receiver<()>>,
}

impl StopRequests {
    /// Catches signals, and takes the stop keys of `source`.
    pub(crate) fn catch(source: &mut Source) -> Self {
        Self {
            signals: Signals::catch_with_hang_up().ok(),
            keys: match source {
                Source::Terminal(terminal) => terminal.stop_keys(),
                Source::Pipe => None,
            },
        }
    }

    /// Catches signals.
    pub(crate) fn signals_only() -> Self {
        Self::catch(&mut Source::Pipe)
    }

    /// Waits for the next request. Cancel safe.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            () = signal(&mut self.signals) => {}
            () = key(&mut self.keys) => {}
        }
    }

    /// Waits for `work`. Returns `None` if a stop request comes first.
    pub(crate) async fn unless_asked<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.next() => None,
        }
    }
}

async fn signal(signals: &mut Option<Signals>) {
    match signals {
        Some(signals) => signals.recv().await,
        None => std::future::pending().await,
    }
}

async fn key(keys: &mut Option<mpsc::Receiver<()>>) {
    let pressed = match keys {
        Some(keys) => keys.recv().await,
        None => None,
    };
    if pressed.is_none() {
        // The editor has ended, so no key will come.
        std::future::pending::<()>().await;
    }
}
