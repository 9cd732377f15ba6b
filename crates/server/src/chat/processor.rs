//! The processor of the chat: one thread that takes jobs from the queue, stores them, and then sends messages.

mod commands;

use std::{collections::VecDeque, sync::Arc};

use serde_json::json;
use sockeye::{CloseCode, Session};
use sockeye_hub::presence::Presence;

use super::{
    Limits,
    answers::{AnswerBudget, Requester},
    archive::{Archive, LogName, Pages},
    effect::Effect,
    job::Job,
    protocol::{self, ChatError, ChatMessage, Command, EchoedFields},
    queue::Queue,
    roster::Roster,
};
use crate::{
    event::{event, send_or_close},
    identity::Address,
    unix_time::now_ms,
};

/// The state that the chat's thread owns.
#[derive(Debug)]
pub(crate) struct Processor {
    archive: Archive,
    roster: Roster,
    limits: Arc<Limits>,
    queue: Arc<Queue<Job>>,
    answers: AnswerBudget,
    /// When queued messages are next checked for their age (milliseconds since 1970).
    expires_at: u64,
    /// Connections whose commands are in the current batch.
    requesters: Vec<Session>,
}

/// The outcome of a job: the connection that sent it, and its effects once it is stored.
type Outcome = (Option<(Session, EchoedFields)>, Vec<Effect>);

/// Why a job fails.
#[derive(Debug)]
enum Failure {
    /// The page made a mistake.
    ChatError(ChatError),
    /// The archive failed, so the whole batch fails.
    Archive(redb::Error),
}

impl Processor {
    pub(crate) fn new(
        archive: Archive,
        limits: Arc<Limits>,
        queue: Arc<Queue<Job>>,
        presence: Presence,
    ) -> Result<Self, redb::Error> {
        let people = archive.people()?;
        Ok(Self {
            roster: Roster::new(people, presence),
            archive,
            limits,
            queue,
            answers: AnswerBudget::default(),
            expires_at: 0,
            requesters: Vec::new(),
        })
    }

    /// Processes jobs until the queue is closed and empty.
    pub(crate) fn run(&mut self) {
        let mut jobs = VecDeque::new();
        loop {
            if jobs.is_empty() {
                jobs.extend(self.queue.take(self.limits.batch_max));
            }
            if jobs.is_empty() {
                return;
            }
            for effect in self.process_batch(&mut jobs, now_ms()) {
                effect.run();
            }
        }
    }

    /// Closes the queue and all sessions, because no job will be processed any more.
    pub(crate) fn abort(&mut self) {
        self.queue.close();
        let left = self.queue.take(usize::MAX);
        let waiting = left.iter().filter_map(Job::session).cloned();
        let told = self
            .requesters
            .drain(..)
            .chain(self.roster.disconnect_all());
        for session in told.chain(waiting) {
            session.close(CloseCode::INTERNAL_ERROR, "the chat has stopped");
        }
    }

    /// Processes jobs in one transaction until their answers reach `turn_bytes_max`; the rest stays in `jobs`. Returns the
    /// effects after the commit.
    pub(crate) fn process_batch(&mut self, jobs: &mut VecDeque<Job>, now: u64) -> Vec<Effect> {
        let sessions = jobs.iter().filter_map(Job::session);
        self.requesters = sessions.cloned().collect();
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(jobs.len());
        let Err(error) = self.transact(jobs, &mut outcomes, now) else {
            let effects = outcomes.into_iter().map(|(_, effects)| effects);
            return effects.flatten().collect();
        };
        tracing::error!("the chat can't store messages: {error}");
        if let Err(error) = self.archive.reopen() {
            tracing::error!("the chat's archive can't be reopened: {error}");
        }
        // The jobs that were not processed, since the transaction could not begin.
        for job in jobs.drain(..) {
            let requester = job.requester();
            let effects = match job {
                Job::SessionEnded(session) => self.end_session(session, now),
                Job::Issue(person, _) => {
                    self.roster.issue(person, &self.limits);
                    Vec::new()
                }
                Job::Command(..) | Job::Fetch(..) | Job::IsKnown(..) => Vec::new(),
            };
            outcomes.push((requester, effects));
        }
        outcomes
            .into_iter()
            .flat_map(effects_after_failure)
            .collect()
    }

    fn transact(
        &mut self,
        jobs: &mut VecDeque<Job>,
        outcomes: &mut Vec<Outcome>,
        now: u64,
    ) -> Result<(), redb::Error> {
        let limits = Arc::clone(&self.limits);
        let (transaction, mut counts) = self.archive.begin()?;
        let mut pages = Pages::open(&transaction, &limits, &mut counts)?;
        if self.expires_at <= now {
            let age_ms = u64::try_from(limits.queued_age_max.as_millis()).unwrap_or(u64::MAX);
            pages.expire_queued(now.saturating_sub(age_ms))?;
            self.expires_at = now.saturating_add(EXPIRY_INTERVAL_MS);
        }
        let (mut broken, mut bytes) = (None, 0);
        while bytes < limits.turn_bytes_max
            && let Some(job) = jobs.pop_front()
        {
            let requester = job.requester();
            match self.process_job(job, &mut pages, now) {
                Ok(effects) => {
                    bytes += effects.iter().map(Effect::bytes).sum::<usize>();
                    outcomes.push((requester, effects));
                }
                Err(Failure::ChatError(chat_error)) => {
                    let effects = requester.as_ref().map(|(session, echoed)| {
                        Effect::Send(session.clone(), protocol::error(chat_error, echoed))
                    });
                    outcomes.push((requester, effects.into_iter().collect()));
                }
                Err(Failure::Archive(error)) => {
                    outcomes.push((requester, Vec::new()));
                    broken = Some(error);
                }
            }
        }
        let has_changed = pages.has_changed();
        drop(pages);
        match broken {
            Some(error) => return Err(error),
            None if has_changed => transaction.commit()?,
            None => {}
        }
        self.archive.keep(counts);
        Ok(())
    }

    fn process_job(
        &mut self,
        job: Job,
        pages: &mut Pages<'_>,
        now: u64,
    ) -> Result<Vec<Effect>, Failure> {
        match job {
            Job::Issue(person, receipt) => {
                self.roster.issue(person, &self.limits);
                if let Some(receipt) = receipt {
                    pages.confirm(&LogName::person(person.address()), &receipt)?;
                }
                Ok(Vec::new())
            }
            Job::IsKnown(person, answer) => {
                // The caller may have dropped the receiver.
                let _ = answer.send(self.roster.is_known(person));
                Ok(Vec::new())
            }
            Job::SessionEnded(session) => Ok(self.end_session(session, now)),
            Job::Fetch(person, receipt, origin, answer) => {
                let address = person.address();
                let requester = Requester { address, origin };
                self.fetch(requester, receipt.as_ref(), answer, pages, now)
            }
            Job::Command(session, command, echoed) => match command {
                Command::HeartBeat => Ok(Vec::new()),
                Command::Online {
                    person,
                    name,
                    since,
                } => self.online(&session, person, name, since, pages, now),
                Command::Join { room, since } => self.join(&session, room, since, pages, now),
                Command::Leave { room } => self.leave(&session, &room),
                Command::People { room } => self.people(&session, room.as_deref(), now),
                Command::Acknowledge(receipt) => self.acknowledge(&session, &receipt, pages),
                Command::Send(new_message) => self.say(&session, new_message, &echoed, pages, now),
            },
        }
    }

    fn end_session(&mut self, session: u64, now: u64) -> Vec<Effect> {
        let Some(removed) = self.roster.remove_connection(session, now) else {
            return Vec::new();
        };
        let rooms = removed.rooms.iter();
        rooms
            .filter_map(|room| self.announce("LEAVE", room, removed.address))
            .collect()
    }

    /// Tells a room who joins and leaves, unless it has too many people.
    fn announce(&self, name: &str, room: &str, address: Address) -> Option<Effect> {
        let count = self.roster.count(Some(room));
        let group = self.roster.group(room)?;
        (count <= self.limits.announced_max).then(|| {
            let person = self.roster.known(address);
            let response = json!({ "room": room, "person": person, "count": count });
            Effect::SendAll(group, event(name, response))
        })
    }

    /// Sends a message to every connection of a person.
    fn private(&self, address: Address, heard: &ChatMessage) -> Vec<Effect> {
        let text = event("MSG", heard);
        let sessions = self.roster.sessions(address);
        sessions
            .map(|session| Effect::Send(session.clone(), text.clone()))
            .collect()
    }
}

impl From<ChatError> for Failure {
    fn from(chat_error: ChatError) -> Self {
        Self::ChatError(chat_error)
    }
}

impl From<redb::Error> for Failure {
    fn from(error: redb::Error) -> Self {
        Self::Archive(error)
    }
}

/// Returns the effects of a job whose batch could not be stored: an error for a command, and the end of a session.
fn effects_after_failure((requester, effects): Outcome) -> Vec<Effect> {
    match requester {
        Some((session, echoed)) => {
            vec![Effect::Send(
                session,
                protocol::error(ChatError::NotStored, &echoed),
            )]
        }
        // Without a delivery, `/socket/get-msg` answers 503.
        None => effects
            .into_iter()
            .filter(|effect| !matches!(effect, Effect::Deliver(..)))
            .collect(),
    }
}

/// Returns the `client_id` of the protocol. It names a connection and is not secret.
pub(crate) fn client_id(session: &Session) -> String {
    format!("{:020x}", session.id())
}

/// Sends an `ERROR` event.
pub(crate) fn send_error(session: &Session, chat_error: ChatError, echoed: &EchoedFields) {
    send_or_close(session, protocol::error(chat_error, echoed));
}

/// Milliseconds between two checks of the queued messages' age. They wait for weeks, so an hour is precise enough.
const EXPIRY_INTERVAL_MS: u64 = 3_600_000;

#[cfg(test)]
mod tests;
