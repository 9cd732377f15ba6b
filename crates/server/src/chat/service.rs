//! The chat as the rest of the server sees it: endpoints, a few HTTP paths, and one thread behind them.

use std::{
    any::Any,
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, OnceLock},
    thread,
};

use sockeye::{MemoryBudget, Origins, Request, Route, Session};
use sockeye_hub::{StoreError, presence::Presence};

use super::{
    Limits, Tokens, archive::Archive, desk::Desk, identities::Identities, job::Job, queue::Queue,
    visitor::Visitor,
};
use crate::{address_rates::AddressRates, connection_log::ConnectionLog};

/// The chat. Cheap to clone; it ends with the last one.
#[derive(Clone)]
pub(crate) struct Chat(Arc<Parts>);

/// Why the desk doesn't take a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// As many wait as may.
    Busy,
    /// There is nobody who would do it.
    Stopped,
}

impl Refusal {
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Busy => "the chat is busy, try again",
            Self::Stopped => "the chat has stopped, and waits for its server to be started again",
        }
    }
}

struct Parts {
    queue: Arc<Queue<Job>>,
    /// Why the desk has ended before its time.
    failure: Arc<OnceLock<String>>,
    limits: Arc<Limits>,
    tokens: Tokens,
    identities: Identities,
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
        budget: &MemoryBudget,
    ) -> Result<Self, String> {
        let open = || match data {
            Some(data) => {
                let file = data.join(FILE);
                let opened = Archive::open(&file, budget);
                opened.map_err(|error| StoreError::of_file(&file, error).to_string())
            }
            None => Archive::in_memory(budget).map_err(|error| error.to_string()),
        };
        // A database that is damaged in a way that it doesn't expect panics.
        let opened = catch_unwind(AssertUnwindSafe(open));
        let archive = opened.map_err(|panic| format!("{FILE}: {}", said_by(&*panic)))??;
        // After the archive, which one process at a time can have open.
        let identities = match data {
            Some(data) => Identities::kept(data)?,
            None => Identities::of_this_process()?,
        };
        Self::with(archive, identities, limits, tokens, presence, budget)
    }

    /// The chat with this archive.
    fn with(
        archive: Archive,
        identities: Identities,
        limits: Limits,
        tokens: Tokens,
        presence: Presence,
        budget: &MemoryBudget,
    ) -> Result<Self, String> {
        let limits = Arc::new(limits);
        let queue = Queue::new(limits.queue_max, limits.queue_bytes_max, budget.account());
        let queue = Arc::new(queue);
        let failure = Arc::new(OnceLock::new());
        let desk = Desk::new(archive, Arc::clone(&limits), Arc::clone(&queue), presence)
            .map_err(|error| format!("{FILE}: {error}"))?;
        let told = Arc::clone(&failure);
        thread::Builder::new()
            .name("chat".into())
            .spawn(move || supervise(desk, &told))
            .map_err(|error| format!("cannot start the chat's thread: {error}"))?;
        Ok(Self(Arc::new(Parts {
            queue,
            failure,
            limits,
            tokens,
            identities,
        })))
    }

    /// The endpoint on `path`, with the server's limits but for the size of a message.
    pub(crate) fn route(
        &self,
        connections: ConnectionLog,
        path: &str,
        mut limits: sockeye::Limits,
        rates: AddressRates,
    ) -> Route {
        let chat = self.clone();
        limits.message_bytes_max = chat.limits().message_bytes_max;
        let visit = move |request: &Request| Visitor::new(chat.clone(), request, rates.clone());
        connections.route(path, visit)
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

    pub(crate) fn identities(&self) -> &Identities {
        &self.0.identities
    }

    /// Leaves a job for the desk, unless it has too much to do, or has ended.
    pub(crate) fn hand_over(&self, job: Job) -> Result<(), Refusal> {
        let bytes = job.bytes();
        self.0
            .queue
            .push(job, bytes)
            .map_err(|_| match self.failure() {
                Some(_) => Refusal::Stopped,
                None => Refusal::Busy,
            })
    }

    /// Why the chat does nothing any more, in one line; `None` as long as it does.
    pub(crate) fn failure(&self) -> Option<String> {
        self.0.failure.get().cloned()
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

/// Runs the desk. If it panics, whoever waits for it is told, and so is whoever asks later.
fn supervise(mut desk: Desk, failure: &OnceLock<String>) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(|| desk.run())) else {
        return;
    };
    let what = format!("the chat has stopped: {}", said_by(&*panic));
    tracing::error!("{what}; start the server again");
    let _ = failure.set(what);
    desk.give_up();
    // What it was about to write may be half done: that must not be finished by anybody who cleans up.
    mem::forget(desk);
}

/// What a panic says, on one line.
fn said_by(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!(
        "panicked: {}",
        text.unwrap_or("?").replace(char::is_control, " ")
    )
}

/// Below the directory of `--data`.
const FILE: &str = "chat.redb";

#[cfg(test)]
mod tests {
    use sockeye::{Endpoint, Message, Reply, Role, Settings};
    use sockeye_hub::SystemClock;
    use tokio::{io::duplex, sync::oneshot};

    use super::*;
    use crate::chat::{Person, archive::tests::Disk, dialect::Echoed, dialect::Order};

    struct Silent;

    impl Endpoint for Silent {
        fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
            Reply::None
        }
    }

    #[tokio::test]
    async fn a_desk_that_panics_keeps_nobody_waiting_and_says_so() {
        let disk = Disk::default();
        let presence = Presence::in_memory(
            sockeye_hub::presence::Limits::default(),
            Arc::new(SystemClock),
        );
        let limits = Limits::default();
        let chat = {
            let (tokens, budget) = (Tokens::any(), MemoryBudget::default());
            let identities = Identities::of_this_process().unwrap();
            Chat::with(
                disk.archive(),
                identities,
                limits,
                tokens,
                presence.clone(),
                &budget,
            )
            .unwrap()
        };
        assert_eq!(chat.failure(), None);
        let (ours, _theirs) = duplex(1 << 16);
        let session =
            Session::from_stream(ours, Role::Server, Settings::default(), Silent).unwrap();
        let person = Person::new();
        chat.hand_over(Job::Issue(person, None)).unwrap();
        disk.set_broken();
        let online = Order::Online {
            person,
            name: None,
            since: None,
        };
        let job = Job::Order(session.clone(), online, Echoed::default());
        chat.hand_over(job).unwrap();
        // Whoever asked is cut off rather than left without an answer.
        session.closed().await;
        let (sender, receiver) = oneshot::channel();
        let asked = chat.hand_over(Job::Fetch(person, None, None, sender));
        assert_eq!(asked, Err(Refusal::Stopped));
        assert!(receiver.await.is_err());
        let failure = chat.failure().unwrap();
        assert!(
            failure.contains("the chat has stopped: panicked: a damaged page"),
            "{failure}"
        );
        assert!(!presence.is_online(&person.address().to_string()));
    }
}
