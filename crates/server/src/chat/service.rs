//! The chat as the rest of the server sees it: endpoints, a few HTTP paths, and one thread behind them.

use std::{fmt, path::Path, sync::Arc, thread};

use sockeye::{Origins, Route, Session};
use sockeye_hub::presence::Presence;

use super::{
    Limits, Tokens,
    archive::Archive,
    desk::{Desk, Job},
    queue::Queue,
    visitor::Visitor,
};

/// The chat. Cheap to clone; it ends with the last one.
#[derive(Clone)]
pub(crate) struct Chat(Arc<Parts>);

/// As many jobs wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

struct Parts {
    queue: Arc<Queue<Job>>,
    limits: Arc<Limits>,
    tokens: Tokens,
}

impl Chat {
    /// Opens the archive, below `data` or in memory, and starts the desk. Who is online is told to `presence` too.
    ///
    /// # Errors
    ///
    /// The archive can't be opened, or there can be no more threads. The text says which.
    pub(crate) fn start(
        data: Option<&Path>,
        limits: Limits,
        tokens: Tokens,
        presence: Presence,
    ) -> Result<Self, String> {
        let archive = match data {
            Some(data) => {
                let file = data.join(FILE);
                Archive::open(&file).map_err(|error| format!("{}: {error}", file.display()))?
            }
            None => Archive::in_memory().map_err(|error| error.to_string())?,
        };
        let limits = Arc::new(limits);
        let queue = Arc::new(Queue::new(limits.queue_max));
        let desk = Desk::new(archive, Arc::clone(&limits), Arc::clone(&queue), presence)
            .map_err(|error| format!("{FILE}: {error}"))?;
        thread::Builder::new()
            .name("chat".into())
            .spawn(move || desk.run())
            .map_err(|error| format!("cannot start the chat's thread: {error}"))?;
        Ok(Self(Arc::new(Parts {
            queue,
            limits,
            tokens,
        })))
    }

    /// The endpoint on `path`, with the server's limits but for the size of a message.
    pub(crate) fn route(&self, path: &str, mut limits: sockeye::Limits) -> Route {
        let chat = self.clone();
        limits.message_bytes_max = chat.limits().message_bytes_max;
        limits.frame_bytes_max = chat.limits().message_bytes_max;
        Route::new(path, move |_| Ok(Visitor::new(chat.clone())))
            // Who somebody is, they say themselves, by a uuid that no other site's page knows. No cookie counts here.
            .origins(Origins::Any)
            .limits(limits)
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    /// Leaves a job for the desk, unless it has too much to do.
    pub(crate) fn hand_over(&self, job: Job) -> Result<(), Busy> {
        self.0.queue.push(job).map_err(|_| Busy)
    }

    /// A connection has ended.
    pub(crate) fn farewell(&self, session: &Session) {
        self.0.queue.push_past_the_limit(Job::Gone(session.id()));
    }
}

impl fmt::Debug for Chat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chat")
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}

impl Drop for Parts {
    /// The desk works off what waits, and ends.
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Below the directory of `--data`.
const FILE: &str = "chat.redb";
