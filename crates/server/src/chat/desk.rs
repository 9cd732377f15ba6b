//! The one thread that owns the chat: it takes what visitors have handed over, keeps it, and then lets it be heard.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::json;
use sockeye::{CloseCode, Session};
use sockeye_hub::presence::Presence;
use tokio::sync::oneshot;

use super::{
    Limits,
    answers::{Answers, Asker},
    archive::{Archive, Handed, LogName, Pages, Resident, Waits},
    dialect::{self, Echoed, Heard, Order, Receiver, Saying, Since, Trouble, event, event_with},
    effect::{Effect, tell},
    job::Job,
    lobby::Lobby,
    origin::Origin,
    person::{Address, Person},
    queue::Queue,
    receipt::Receipt,
};

/// The one thread that owns the chat.
#[derive(Debug)]
pub(crate) struct Desk {
    archive: Archive,
    lobby: Lobby,
    limits: Arc<Limits>,
    queue: Arc<Queue<Job>>,
    answers: Answers,
    /// When letters are looked through for those that have waited too long (milliseconds since 1970).
    expires_at: u64,
    /// Connections whose orders are being worked off.
    askers: Vec<Session>,
}

/// What becomes of a job: who asked, and what is to happen once it is kept.
type Outcome = (Option<(Session, Echoed)>, Vec<Effect>);

/// Why a job comes to nothing.
#[derive(Debug)]
enum Failure {
    /// The page's mistake.
    Trouble(Trouble),
    /// Ours; the whole batch fails.
    Archive(redb::Error),
}

impl Desk {
    pub(crate) fn new(
        archive: Archive,
        limits: Arc<Limits>,
        queue: Arc<Queue<Job>>,
        presence: Presence,
    ) -> Result<Self, redb::Error> {
        let people = archive.people()?;
        Ok(Self {
            lobby: Lobby::new(people, presence),
            archive,
            limits,
            queue,
            answers: Answers::default(),
            expires_at: 0,
            askers: Vec::new(),
        })
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn run(&mut self) {
        let mut jobs = VecDeque::new();
        loop {
            if jobs.is_empty() {
                jobs.extend(self.queue.take(self.limits.batch_max));
            }
            if jobs.is_empty() {
                return;
            }
            for effect in self.turn(&mut jobs, now_ms()) {
                effect.run();
            }
        }
    }

    /// Nothing more will be done: nobody must wait for it.
    pub(crate) fn give_up(&mut self) {
        self.queue.close();
        let left = self.queue.take(usize::MAX);
        let waiting = left.iter().filter_map(Job::session).cloned();
        let told = self.askers.drain(..).chain(self.lobby.empty());
        for session in told.chain(waiting) {
            session.close(CloseCode::INTERNAL_ERROR, "the chat has stopped");
        }
    }

    /// Does these jobs in one transaction, up to the one with which the answers are enough for a turn; the rest stays.
    /// Their effects, once it is committed.
    pub(crate) fn turn(&mut self, jobs: &mut VecDeque<Job>, now: u64) -> Vec<Effect> {
        let sessions = jobs.iter().filter_map(Job::session);
        self.askers = sessions.cloned().collect();
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(jobs.len());
        let Err(error) = self.transact(jobs, &mut outcomes, now) else {
            let effects = outcomes.into_iter().map(|(_, effects)| effects);
            return effects.flatten().collect();
        };
        tracing::error!("the chat can't store anything: {error}");
        if let Err(error) = self.archive.reopen() {
            tracing::error!("and its archive can't be opened again: {error}");
        }
        // Those that nobody has looked at, since the transaction could not begin.
        for job in jobs.drain(..) {
            let asker = job.asker();
            let effects = match job {
                Job::Gone(session) => self.gone(session, now),
                Job::Issue(person, _) => {
                    self.lobby.issue(person, &self.limits);
                    Vec::new()
                }
                Job::Order(..) | Job::Fetch(..) | Job::IsKnown(..) => Vec::new(),
            };
            outcomes.push((asker, effects));
        }
        outcomes.into_iter().flat_map(not_kept).collect()
    }

    fn transact(
        &mut self,
        jobs: &mut VecDeque<Job>,
        outcomes: &mut Vec<Outcome>,
        now: u64,
    ) -> Result<(), redb::Error> {
        let limits = Arc::clone(&self.limits);
        let (transaction, mut ledger) = self.archive.begin()?;
        let mut pages = Pages::open(&transaction, &limits, &mut ledger)?;
        if self.expires_at <= now {
            let age_ms = u64::try_from(limits.letters_age_max.as_millis()).unwrap_or(u64::MAX);
            pages.expire_letters(now.saturating_sub(age_ms))?;
            self.expires_at = now.saturating_add(EXPIRY_INTERVAL_MS);
        }
        let (mut broken, mut bytes) = (None, 0);
        while bytes < limits.turn_bytes_max
            && let Some(job) = jobs.pop_front()
        {
            let asker = job.asker();
            match self.work(job, &mut pages, now) {
                Ok(effects) => {
                    bytes += effects.iter().map(Effect::bytes).sum::<usize>();
                    outcomes.push((asker, effects));
                }
                Err(Failure::Trouble(trouble)) => {
                    let effects = asker.as_ref().map(|(session, echoed)| {
                        Effect::Tell(session.clone(), dialect::error(trouble, echoed))
                    });
                    outcomes.push((asker, effects.into_iter().collect()));
                }
                Err(Failure::Archive(error)) => {
                    outcomes.push((asker, Vec::new()));
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
        self.archive.keep(ledger);
        Ok(())
    }

    fn work(&mut self, job: Job, pages: &mut Pages<'_>, now: u64) -> Result<Vec<Effect>, Failure> {
        match job {
            Job::Issue(person, receipt) => {
                self.lobby.issue(person, &self.limits);
                if let Some(receipt) = receipt {
                    pages.confirm(&LogName::person(person.address()), &receipt)?;
                }
                Ok(Vec::new())
            }
            Job::IsKnown(person, answer) => {
                // Whoever asked may have gone away.
                let _ = answer.send(self.lobby.is_known(person));
                Ok(Vec::new())
            }
            Job::Gone(session) => Ok(self.gone(session, now)),
            Job::Fetch(person, receipt, origin, answer) => {
                let address = person.address();
                let asker = Asker { address, origin };
                self.fetch(asker, receipt.as_ref(), answer, pages, now)
            }
            Job::Order(session, order, echoed) => match order {
                Order::HeartBeat => Ok(Vec::new()),
                Order::Online {
                    person,
                    name,
                    since,
                } => self.online(&session, person, name, since, pages, now),
                Order::Join { room, since } => self.join(&session, room, since, pages, now),
                Order::Leave { room } => self.leave(&session, &room),
                Order::People { room } => self.people(&session, room.as_deref(), now),
                Order::Acknowledge(receipt) => self.acknowledge(&session, &receipt, pages),
                Order::Say(saying) => self.say(&session, saying, &echoed, pages, now),
            },
        }
    }

    fn online(
        &mut self,
        session: &Session,
        person: Person,
        name: Option<String>,
        since: Option<Since>,
        pages: &mut Pages<'_>,
        now: u64,
    ) -> Result<Vec<Effect>, Failure> {
        let address = person.address();
        let before = self.lobby.address(session);
        if !self.lobby.is_known(person) || before.is_some_and(|before| before != address) {
            return Err(Trouble::WrongUuid.into());
        }
        let asker = Asker {
            address,
            origin: Origin::of(session),
        };
        if since.is_some() && !self.answers.admit(asker, &self.limits, now) {
            return Err(Trouble::TooMuch.into());
        }
        let known = self.lobby.resident(address).cloned();
        let name = name.or_else(|| known.as_ref().map(|known| known.name.clone()));
        let resident = Resident {
            name: name.unwrap_or_else(|| format!("guest-{}", &address.to_string()[..4])),
            seen: now,
            has_spoken: known.as_ref().is_some_and(|known| known.has_spoken),
        };
        if known.is_none() {
            let has_mail = |address| pages.ledger().has_letters(&LogName::person(address));
            let oldest = self.lobby.dispensable(&self.limits, has_mail);
            if let Some(oldest) = oldest.map_err(|()| Trouble::Busy)? {
                pages.forget_person(oldest)?;
                self.lobby.forget(oldest);
            }
        }
        let is_renamed = known.is_none_or(|known| known.name != resident.name);
        if is_renamed {
            pages.put_person(address, &resident)?;
        }
        self.lobby.put_person(address, resident.clone());
        if before.is_none() {
            self.lobby.arrive(session, address);
        }
        let log = LogName::person(address);
        pages.begin(&log, now, None)?;
        // Who says how far they have read has read so far.
        if let Some(receipt) = since.as_ref().and_then(Receipt::of) {
            pages.confirm(&log, &receipt)?;
        }
        let waiting = pages.waiting(&log)?;
        let response = json!({
            "client_id": client_id(session),
            "address": address,
            "name": resident.name,
            "waiting": waiting.count,
            "lost": waiting.lost,
        });
        // Who asks for what it missed says from where; the article's page asks /socket/get-msg instead.
        let text = match since {
            Some(since) => event_with("ONLINE", &response, &pages.past(&log, Some(&since))?),
            None => event("ONLINE", response),
        };
        self.answers.charge(asker, text.len(), &self.limits, now);
        let mut effects = vec![Effect::Tell(session.clone(), text)];
        if is_renamed {
            for room in self.lobby.rooms_with(address) {
                effects.extend(self.announce("JOIN", &room, address));
            }
        }
        // It may have ended while this waited, and then nobody would ever take its place away.
        if !session.is_open() {
            effects.extend(self.gone(session.id(), now));
        }
        Ok(effects)
    }

    fn join(
        &mut self,
        session: &Session,
        room: String,
        since: Option<Since>,
        pages: &mut Pages<'_>,
        now: u64,
    ) -> Result<Vec<Effect>, Failure> {
        let asker = self.asker(session)?;
        let is_in = self.lobby.is_in(session, &room);
        if !is_in && self.lobby.rooms_of(session) >= self.limits.rooms_per_visitor_max {
            return Err(Trouble::TooManyRooms.into());
        }
        if !self.answers.admit(asker, &self.limits, now) {
            return Err(Trouble::TooMuch.into());
        }
        let log = LogName::room(&room);
        if !pages.has(&log)? {
            let is_free = |room: &str| self.lobby.count(Some(room)) == 0;
            let (ledger, limits) = (pages.ledger(), &self.limits);
            let oldest = ledger.room_to_forget(asker.origin, limits, is_free);
            if let Some(oldest) = oldest.map_err(|()| Trouble::Busy)? {
                pages.forget_room(&oldest)?;
            }
            pages.begin(&log, now, asker.origin)?;
        }
        let past = pages.past(&log, since.as_ref())?;
        let Some((group, is_first)) = self.lobby.enter(session, &room) else {
            return Err(Trouble::NotOnline.into());
        };
        let mut effects = Vec::new();
        if is_first {
            effects.extend(self.announce("JOIN", &room, asker.address));
        }
        let response = json!({
            "room": room,
            "people": self.lobby.listed(Some(&room), &self.limits),
            "count": self.lobby.count(Some(&room)),
        });
        // Between these two nothing else is said: what is in the past isn't heard, and what is heard isn't in the past.
        let text = event_with("JOINED", &response, &past);
        self.answers.charge(asker, text.len(), &self.limits, now);
        effects.push(Effect::Tell(session.clone(), text));
        effects.push(Effect::Enter(group, session.clone()));
        Ok(effects)
    }

    fn leave(&mut self, session: &Session, room: &str) -> Result<Vec<Effect>, Failure> {
        let address = self.lobby.address(session).ok_or(Trouble::NotOnline)?;
        let group = self.lobby.group(room).ok_or(Trouble::NotInRoom)?;
        let was_last = self.lobby.leave(session, room).ok_or(Trouble::NotInRoom)?;
        let left = event("LEFT", json!({ "room": room }));
        let mut effects = vec![
            Effect::Exit(group, session.clone()),
            Effect::Tell(session.clone(), left),
        ];
        if was_last {
            effects.extend(self.announce("LEAVE", room, address));
        }
        Ok(effects)
    }

    fn people(
        &mut self,
        session: &Session,
        room: Option<&str>,
        now: u64,
    ) -> Result<Vec<Effect>, Failure> {
        let asker = self.asker(session)?;
        if room.is_some_and(|room| !self.lobby.is_in(session, room)) {
            return Err(Trouble::NotInRoom.into());
        }
        if !self.answers.admit(asker, &self.limits, now) {
            return Err(Trouble::TooMuch.into());
        }
        let response = json!({
            "room": room,
            "people": self.lobby.listed(room, &self.limits),
            "count": self.lobby.count(room),
        });
        let text = event("PEOPLE", response);
        self.answers.charge(asker, text.len(), &self.limits, now);
        Ok(vec![Effect::Tell(session.clone(), text)])
    }

    /// A page has got private messages, and they needn't wait any more.
    fn acknowledge(
        &self,
        session: &Session,
        receipt: &Receipt,
        pages: &mut Pages<'_>,
    ) -> Result<Vec<Effect>, Failure> {
        let log = LogName::person(self.asker(session)?.address);
        pages.confirm(&log, receipt)?;
        let waiting = pages.waiting(&log)?;
        let response = json!({ "waiting": waiting.count, "lost": waiting.lost });
        let text = event("ACKNOWLEDGED", response);
        Ok(vec![Effect::Tell(session.clone(), text)])
    }

    fn say(
        &mut self,
        session: &Session,
        saying: Saying,
        echoed: &Echoed,
        pages: &mut Pages<'_>,
        now: u64,
    ) -> Result<Vec<Effect>, Failure> {
        let address = self.lobby.address(session).ok_or(Trouble::NotOnline)?;
        let sent = |seq: u64, time: u64, is_again: bool, is_waiting: bool| {
            let response = json!({ "id": echoed.id, "seq": seq, "time": time, "again": is_again, "waits": is_waiting });
            Effect::Tell(session.clone(), event("SENT", response))
        };
        if let Some(id) = &saying.id
            && let Some((seq, time)) = pages.sent(address, id)?
        {
            return Ok(vec![sent(seq, time, true, false)]);
        }
        if let Some(resident) = self.lobby.first_words(address) {
            pages.put_person(address, &resident)?;
        }
        let from = self.lobby.known(address);
        let mut heard = Heard::unfiled(from, saying.text, now, saying.id);
        match saying.to {
            Receiver::Room(room) => {
                let group = self.lobby.group(&room).ok_or(Trouble::NotInRoom)?;
                if !self.lobby.is_in(session, &room) {
                    return Err(Trouble::NotInRoom.into());
                }
                heard.room = Some(room.clone());
                pages.append(&LogName::room(&room), &mut heard, Waits::No)?;
                let text = event("MSG", &heard);
                Ok(vec![
                    sent(heard.seq, now, false, false),
                    Effect::TellAll(group, text),
                ])
            }
            Receiver::Person(to) => {
                self.lobby.resident(to).ok_or(Trouble::NoSuchPerson)?;
                heard.to = Some(self.lobby.known(to));
                let is_absent = self.lobby.sessions(to).next().is_none();
                let (log, origin) = (LogName::person(to), Origin::of(session));
                let waits = match is_absent {
                    true if !pages.admits(&log, &heard, origin) => {
                        return Err(Trouble::MailboxFull.into());
                    }
                    true => Waits::Yes(origin),
                    false => Waits::No,
                };
                pages.append(&log, &mut heard, waits)?;
                let mut effects = vec![sent(heard.seq, now, false, is_absent)];
                effects.extend(self.private(to, &heard));
                if to != address {
                    // Their other pages show what they have said, and so do those that they open later.
                    pages.append(&LogName::person(address), &mut heard, Waits::No)?;
                    effects.extend(self.private(address, &heard));
                }
                Ok(effects)
            }
        }
    }

    fn fetch(
        &mut self,
        asker: Asker,
        receipt: Option<&Receipt>,
        answer: oneshot::Sender<Option<Handed>>,
        pages: &mut Pages<'_>,
        now: u64,
    ) -> Result<Vec<Effect>, Failure> {
        let log = LogName::person(asker.address);
        if let Some(receipt) = receipt {
            pages.confirm(&log, receipt)?;
        }
        if !self.answers.admit(asker, &self.limits, now) {
            return Ok(vec![Effect::Hand(answer, None)]);
        }
        let handed = pages.hand_out(&log)?;
        let bytes = usize::try_from(handed.bytes).unwrap_or(usize::MAX);
        self.answers.charge(asker, bytes, &self.limits, now);
        Ok(vec![Effect::Hand(answer, Some(handed))])
    }

    /// Who asks, once the connection has said so.
    fn asker(&self, session: &Session) -> Result<Asker, Trouble> {
        let address = self.lobby.address(session).ok_or(Trouble::NotOnline)?;
        Ok(Asker {
            address,
            origin: Origin::of(session),
        })
    }

    fn gone(&mut self, session: u64, now: u64) -> Vec<Effect> {
        let Some(departure) = self.lobby.depart(session, now) else {
            return Vec::new();
        };
        let rooms = departure.rooms.iter();
        rooms
            .filter_map(|room| self.announce("LEAVE", room, departure.address))
            .collect()
    }

    /// Everybody in a room hears who comes and goes, unless there are too many of them.
    fn announce(&self, name: &str, room: &str, address: Address) -> Option<Effect> {
        let count = self.lobby.count(Some(room));
        let group = self.lobby.group(room)?;
        (count <= self.limits.announced_max).then(|| {
            let person = self.lobby.known(address);
            let response = json!({ "room": room, "person": person, "count": count });
            Effect::TellAll(group, event(name, response))
        })
    }

    /// Every connection of a person hears it.
    fn private(&self, address: Address, heard: &Heard) -> Vec<Effect> {
        let text = event("MSG", heard);
        let sessions = self.lobby.sessions(address);
        sessions
            .map(|session| Effect::Tell(session.clone(), text.clone()))
            .collect()
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<redb::Error> for Failure {
    fn from(error: redb::Error) -> Self {
        Self::Archive(error)
    }
}

/// What still happens when the batch could not be stored: whoever asked is told, whoever left has left.
fn not_kept((asker, effects): Outcome) -> Vec<Effect> {
    match asker {
        Some((session, echoed)) => {
            vec![Effect::Tell(
                session,
                dialect::error(Trouble::NotKept, &echoed),
            )]
        }
        // Without its answer, `/socket/get-msg` says 503.
        None => effects
            .into_iter()
            .filter(|effect| !matches!(effect, Effect::Hand(..)))
            .collect(),
    }
}

/// The `client_id` of the dialect: names a connection, and is no secret.
pub(crate) fn client_id(session: &Session) -> String {
    format!("{:020x}", session.id())
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(now.unwrap_or(Duration::ZERO).as_millis()).unwrap_or(u64::MAX)
}

/// For visitors, who answer some things themselves.
pub(crate) fn tell_error(session: &Session, trouble: Trouble, echoed: &Echoed) {
    tell(session, dialect::error(trouble, echoed));
}

/// Milliseconds. Letters wait for weeks; an hour more is nothing.
const EXPIRY_INTERVAL_MS: u64 = 3_600_000;

#[cfg(test)]
mod tests;
