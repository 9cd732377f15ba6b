//! The commands of a connection.

use serde_json::json;
use sockeye::Session;
use tokio::sync::oneshot;

use super::{Failure, Processor, client_id};
use crate::{
    chat::{
        answers::Requester,
        archive::{Delivery, LogName, Pages, PersonRecord, StoredAs},
        client_network::ClientNetwork,
        effect::Effect,
        protocol::{
            ChatError, ChatMessage, EchoedFields, NewMessage, Recipient, Since, event_with,
        },
        receipt::Receipt,
    },
    event::event,
    identity::Person,
};

impl Processor {
    pub(super) fn online(
        &mut self,
        session: &Session,
        person: Person,
        name: Option<String>,
        since: Option<Since>,
        pages: &mut Pages<'_>,
        now: u64,
    ) -> Result<Vec<Effect>, Failure> {
        let address = person.address();
        let before = self.roster.address(session);
        if !self.roster.is_known(person) || before.is_some_and(|before| before != address) {
            return Err(ChatError::WrongUuid.into());
        }
        let requester = Requester {
            address,
            origin: ClientNetwork::of(session),
        };
        if since.is_some() && !self.answers.admit(requester, &self.limits, now) {
            return Err(ChatError::TooMuch.into());
        }
        let known = self.roster.record(address).cloned();
        let name = name.or_else(|| known.as_ref().map(|known| known.name.clone()));
        let record = PersonRecord {
            name: name.unwrap_or_else(|| format!("guest-{}", &address.to_string()[..4])),
            seen: now,
            has_spoken: known.as_ref().is_some_and(|known| known.has_spoken),
        };
        if known.is_none() {
            let has_mail = |address| pages.counts().has_queued(&LogName::person(address));
            let oldest = self.roster.person_to_forget(&self.limits, has_mail);
            if let Some(oldest) = oldest.map_err(|()| ChatError::Busy)? {
                pages.forget_person(oldest)?;
                self.roster.forget(oldest);
            }
        }
        let is_renamed = known.is_none_or(|known| known.name != record.name);
        if is_renamed {
            pages.put_person(address, &record)?;
        }
        self.roster.put_person(address, record.clone());
        if before.is_none() {
            self.roster.add_connection(session, address);
        }
        let log = LogName::person(address);
        pages.begin(&log, now, None)?;
        // A page that says how far it has read has received those messages.
        if let Some(receipt) = since.as_ref().and_then(Receipt::of) {
            pages.confirm(&log, &receipt)?;
        }
        let waiting = pages.waiting(&log)?;
        let response = json!({
            "client_id": client_id(session),
            "address": address,
            "name": record.name,
            "waiting": waiting.count,
            "lost": waiting.lost,
        });
        // A page that wants what it missed says from where. The article's page asks /socket/get-msg instead.
        let text = match since {
            Some(since) => event_with("ONLINE", &response, &pages.past(&log, Some(&since))?),
            None => event("ONLINE", response),
        };
        self.answers
            .charge(requester, text.len(), &self.limits, now);
        let mut effects = vec![Effect::Send(session.clone(), text)];
        if is_renamed {
            for room in self.roster.rooms_with(address) {
                effects.extend(self.announce("JOIN", &room, address));
            }
        }
        // The session may have ended while this job waited. Its own job for that has been processed already.
        if !session.is_open() {
            effects.extend(self.end_session(session.id(), now));
        }
        Ok(effects)
    }

    pub(super) fn join(
        &mut self,
        session: &Session,
        room: String,
        since: Option<Since>,
        pages: &mut Pages<'_>,
        now: u64,
    ) -> Result<Vec<Effect>, Failure> {
        let requester = self.requester(session)?;
        let is_in = self.roster.is_in(session, &room);
        if !is_in && self.roster.rooms_of(session) >= self.limits.rooms_per_visitor_max {
            return Err(ChatError::TooManyRooms.into());
        }
        if !self.answers.admit(requester, &self.limits, now) {
            return Err(ChatError::TooMuch.into());
        }
        let log = LogName::room(&room);
        if !pages.has(&log)? {
            let is_free = |room: &str| self.roster.count(Some(room)) == 0;
            let (counts, limits) = (pages.counts(), &self.limits);
            let oldest = counts.room_to_forget(requester.origin, limits, is_free);
            if let Some(oldest) = oldest.map_err(|()| ChatError::Busy)? {
                pages.forget_room(&oldest)?;
            }
            pages.begin(&log, now, requester.origin)?;
        }
        let past = pages.past(&log, since.as_ref())?;
        let Some((group, is_first)) = self.roster.enter(session, &room) else {
            return Err(ChatError::NotOnline.into());
        };
        let mut effects = Vec::new();
        if is_first {
            effects.extend(self.announce("JOIN", &room, requester.address));
        }
        let response = json!({
            "room": room,
            "people": self.roster.listed(Some(&room), &self.limits),
            "count": self.roster.count(Some(&room)),
        });
        // No message is sent between these two effects, so each one is either in the past or sent later, not both.
        let text = event_with("JOINED", &response, &past);
        self.answers
            .charge(requester, text.len(), &self.limits, now);
        effects.push(Effect::Send(session.clone(), text));
        effects.push(Effect::Enter(group, session.clone()));
        Ok(effects)
    }

    pub(super) fn leave(&mut self, session: &Session, room: &str) -> Result<Vec<Effect>, Failure> {
        let address = self.roster.address(session).ok_or(ChatError::NotOnline)?;
        let group = self.roster.group(room).ok_or(ChatError::NotInRoom)?;
        let was_last = self
            .roster
            .leave(session, room)
            .ok_or(ChatError::NotInRoom)?;
        let left = event("LEFT", json!({ "room": room }));
        let mut effects = vec![
            Effect::Exit(group, session.clone()),
            Effect::Send(session.clone(), left),
        ];
        if was_last {
            effects.extend(self.announce("LEAVE", room, address));
        }
        Ok(effects)
    }

    pub(super) fn people(
        &mut self,
        session: &Session,
        room: Option<&str>,
        now: u64,
    ) -> Result<Vec<Effect>, Failure> {
        let requester = self.requester(session)?;
        if room.is_some_and(|room| !self.roster.is_in(session, room)) {
            return Err(ChatError::NotInRoom.into());
        }
        if !self.answers.admit(requester, &self.limits, now) {
            return Err(ChatError::TooMuch.into());
        }
        let response = json!({
            "room": room,
            "people": self.roster.listed(room, &self.limits),
            "count": self.roster.count(room),
        });
        let text = event("PEOPLE", response);
        self.answers
            .charge(requester, text.len(), &self.limits, now);
        Ok(vec![Effect::Send(session.clone(), text)])
    }

    /// Confirms private messages that a page has received.
    pub(super) fn acknowledge(
        &self,
        session: &Session,
        receipt: &Receipt,
        pages: &mut Pages<'_>,
    ) -> Result<Vec<Effect>, Failure> {
        let log = LogName::person(self.requester(session)?.address);
        pages.confirm(&log, receipt)?;
        let waiting = pages.waiting(&log)?;
        let response = json!({ "waiting": waiting.count, "lost": waiting.lost });
        let text = event("ACKNOWLEDGED", response);
        Ok(vec![Effect::Send(session.clone(), text)])
    }

    pub(super) fn say(
        &mut self,
        session: &Session,
        new_message: NewMessage,
        echoed: &EchoedFields,
        pages: &mut Pages<'_>,
        now: u64,
    ) -> Result<Vec<Effect>, Failure> {
        let address = self.roster.address(session).ok_or(ChatError::NotOnline)?;
        let sent = |seq: u64, time: u64, is_again: bool, is_waiting: bool| {
            let response = json!({ "id": echoed.id, "seq": seq, "time": time, "again": is_again, "waits": is_waiting });
            Effect::Send(session.clone(), event("SENT", response))
        };
        if let Some(id) = &new_message.id
            && let Some((seq, time)) = pages.sent(address, id)?
        {
            return Ok(vec![sent(seq, time, true, false)]);
        }
        if let Some(record) = self.roster.mark_spoken(address) {
            pages.put_person(address, &record)?;
        }
        let from = self.roster.known(address);
        let mut heard = ChatMessage::unnumbered(from, new_message.text, now, new_message.id);
        match new_message.to {
            Recipient::Room(room) => {
                let group = self.roster.group(&room).ok_or(ChatError::NotInRoom)?;
                if !self.roster.is_in(session, &room) {
                    return Err(ChatError::NotInRoom.into());
                }
                heard.room = Some(room.clone());
                pages.append(&LogName::room(&room), &mut heard, StoredAs::History)?;
                let text = event("MSG", &heard);
                Ok(vec![
                    sent(heard.seq, now, false, false),
                    Effect::SendAll(group, text),
                ])
            }
            Recipient::Person(to) => {
                self.roster.record(to).ok_or(ChatError::NoSuchPerson)?;
                heard.to = Some(self.roster.known(to));
                let is_absent = self.roster.sessions(to).next().is_none();
                let (log, origin) = (LogName::person(to), ClientNetwork::of(session));
                let stored_as = match is_absent {
                    true if !pages.admits(&log, &heard, origin) => {
                        return Err(ChatError::MailboxFull.into());
                    }
                    true => StoredAs::Queued(origin),
                    false => StoredAs::History,
                };
                pages.append(&log, &mut heard, stored_as)?;
                let mut effects = vec![sent(heard.seq, now, false, is_absent)];
                effects.extend(self.private(to, &heard));
                if to != address {
                    // The sender's other pages show the message too, now and later.
                    pages.append(&LogName::person(address), &mut heard, StoredAs::History)?;
                    effects.extend(self.private(address, &heard));
                }
                Ok(effects)
            }
        }
    }

    pub(super) fn fetch(
        &mut self,
        requester: Requester,
        receipt: Option<&Receipt>,
        answer: oneshot::Sender<Option<Delivery>>,
        pages: &mut Pages<'_>,
        now: u64,
    ) -> Result<Vec<Effect>, Failure> {
        let log = LogName::person(requester.address);
        if let Some(receipt) = receipt {
            pages.confirm(&log, receipt)?;
        }
        if !self.answers.admit(requester, &self.limits, now) {
            return Ok(vec![Effect::Deliver(answer, None)]);
        }
        let delivery = pages.hand_out(&log)?;
        let bytes = usize::try_from(delivery.bytes).unwrap_or(usize::MAX);
        self.answers.charge(requester, bytes, &self.limits, now);
        Ok(vec![Effect::Deliver(answer, Some(delivery))])
    }

    /// Returns the person and network behind a connection that has sent `/chat/online`.
    fn requester(&self, session: &Session) -> Result<Requester, ChatError> {
        let address = self.roster.address(session).ok_or(ChatError::NotOnline)?;
        Ok(Requester {
            address,
            origin: ClientNetwork::of(session),
        })
    }
}
