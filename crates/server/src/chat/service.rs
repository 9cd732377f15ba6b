//! The chat's handle for the rest of the server, and the start of its thread.

use std::{
    any::Any,
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, OnceLock},
    thread,
};

use sockeye::{MemoryBudget, Session};
use sockeye_hub::{StoreError, presence::Presence};

use super::{Limits, Tokens, archive::Archive, job::Job, processor::Processor, queue::Queue};
use crate::identity::Identities;

/// The chat. Cheap to clone; its thread ends when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Chat(Arc<ChatShared>);

/// Why a job is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The queue is full.
    Busy,
    /// The processor has panicked.
    Stopped,
}

impl Refusal {
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Busy => "the chat is busy, try again",
            Self::Stopped => "the chat has stopped until the server is restarted",
        }
    }
}

struct ChatShared {
    queue: Arc<Queue<Job>>,
    /// Why the processor has stopped, if it has panicked.
    failure: Arc<OnceLock<String>>,
    limits: Arc<Limits>,
    tokens: Tokens,
    identities: Identities,
}

impl Chat {
    /// Opens the archive, below `data` or in memory, and starts the processor. It adds the people who are online to
    /// `presence`.
    ///
    /// # Errors
    ///
    /// The archive can't be opened, or the thread can't be started. The text says which.
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
        // redb panics on damage that it doesn't expect.
        let opened = catch_unwind(AssertUnwindSafe(open));
        let archive = opened.map_err(|panic| format!("{FILE}: {}", panic_text(&*panic)))??;
        // Opened after the archive, whose lock keeps out other processes.
        let identities = match data {
            Some(data) => Identities::kept(data)?,
            None => Identities::of_this_process()?,
        };
        Self::with(archive, identities, limits, tokens, presence, budget)
    }

    /// Starts the chat with this archive.
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
        let processor = Processor::new(archive, Arc::clone(&limits), Arc::clone(&queue), presence)
            .map_err(|error| format!("{FILE}: {error}"))?;
        let told = Arc::clone(&failure);
        thread::Builder::new()
            .name("chat".into())
            .spawn(move || supervise(processor, &told))
            .map_err(|error| format!("cannot start the chat's thread: {error}"))?;
        Ok(Self(Arc::new(ChatShared {
            queue,
            failure,
            limits,
            tokens,
            identities,
        })))
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

    /// Queues a job for the processor. Fails if the queue is full or the processor has stopped.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Refusal> {
        let bytes = job.bytes();
        self.0
            .queue
            .push(job, bytes)
            .map_err(|_| match self.failure() {
                Some(_) => Refusal::Stopped,
                None => Refusal::Busy,
            })
    }

    /// Returns why the chat has stopped, in one line; `None` while it works.
    pub(crate) fn failure(&self) -> Option<String> {
        self.0.failure.get().cloned()
    }

    /// Queues the end of a connection, even if the queue is full.
    pub(crate) fn end_session(&self, session: &Session) {
        self.0
            .queue
            .push_past_the_limit(Job::SessionEnded(session.id()));
    }
}

impl fmt::Debug for Chat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chat")
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}

impl Drop for ChatShared {
    /// Closes the queue. The processor completes the jobs in it and ends.
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Runs the processor. If it panics, closes the sessions and records the failure.
fn supervise(mut processor: Processor, failure: &OnceLock<String>) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(|| processor.run())) else {
        return;
    };
    let what = format!("the chat has stopped: {}", panic_text(&*panic));
    tracing::error!("{what}; restart the server");
    let _ = failure.set(what);
    processor.abort();
    // Its transaction may be half done, and a destructor must not complete it.
    mem::forget(processor);
}

/// Returns a panic's text in one line.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!(
        "panicked: {}",
        text.unwrap_or("?").replace(char::is_control, " ")
    )
}

/// The file in the directory of `--data`.
const FILE: &str = "chat.redb";

#[cfg(test)]
mod tests {
    use sockeye::{Endpoint, Message, Reply, Role, Settings};
    use sockeye_hub::SystemClock;
    use tokio::{io::duplex, sync::oneshot};

    use super::*;
    use crate::{
        chat::{archive::tests::Disk, protocol::Command, protocol::EchoedFields},
        identity::Person,
    };

    struct Silent;

    impl Endpoint for Silent {
        fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
            Reply::None
        }
    }

    #[tokio::test]
    async fn a_processor_that_panics_closes_sessions_and_reports_it() {
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
        chat.submit(Job::Issue(person, None)).unwrap();
        disk.set_broken();
        let online = Command::Online {
            person,
            name: None,
            since: None,
        };
        let job = Job::Command(session.clone(), online, EchoedFields::default());
        chat.submit(job).unwrap();
        // The session is closed, since it gets no answer.
        session.closed().await;
        let (sender, receiver) = oneshot::channel();
        let asked = chat.submit(Job::Fetch(person, None, None, sender));
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
